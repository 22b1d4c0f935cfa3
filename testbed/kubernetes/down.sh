#!/usr/bin/env bash
# Ends what up.sh started, by the process ids that it noted, with all pods, and removes its state. Environment: BIN, FOLDER, BRIDGE as for up.sh.
set -u
: "${BIN:?}" "${FOLDER:?}" "${BRIDGE:=forebay0}"
[ -d "$FOLDER/pid" ] || exit 0
id() { cat "$FOLDER/pid/$1" 2>/dev/null; }
end() { local process; process=$(id "$1") || return 0
  kill "$process" 2>/dev/null; for _ in $(seq 50); do kill -0 "$process" 2>/dev/null || break; sleep 0.1; done
  kill -9 "$process" 2>/dev/null; rm -f "$FOLDER/pid/$1"; }
ctr_() { timeout 20 ctr --address "$FOLDER/containerd.sock" -n k8s.io "$@" </dev/null 2>/dev/null; }

parts="kubelet coredns kube-proxy kube-scheduler kube-controller-manager kube-apiserver"
for part in $parts; do process=$(id "$part") && kill "$process" 2>/dev/null; done
for part in $parts etcd; do end "$part"; done
if [ -f "$FOLDER/proxy.yaml" ]; then
  "$BIN/kube-proxy" --config "$FOLDER/proxy.yaml" --cleanup >/dev/null 2>&1
  # What that leaves.
  for chain in INPUT OUTPUT; do iptables -D $chain -j KUBE-FIREWALL; done 2>/dev/null
  iptables -F KUBE-FIREWALL 2>/dev/null && iptables -X KUBE-FIREWALL
fi
if [ -f "$FOLDER/pid/containerd" ]; then
  for container in $(ctr_ tasks ls -q); do ctr_ tasks delete -f "$container" >/dev/null & done
  wait
  end containerd
  # Shims outlive containerd: those that serve this folder's socket.
  for process in $(pgrep -f "containerd-shim.* -address $FOLDER/containerd.sock"); do kill "$process"; done
  sleep 0.3
fi
awk -v folder="$FOLDER/" 'index($2, folder) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} \; 2>/dev/null
ip link del "$BRIDGE" 2>/dev/null
if [ -f "$FOLDER/sysctl.before" ]; then
  while read -r setting value; do echo "$value" >"/proc/sys/net/ipv4/$setting"; done <"$FOLDER/sysctl.before"
fi
# Never into a mount: what is left there is not ours.
if ! grep -q " $FOLDER/" /proc/mounts; then rm -rf "$FOLDER"; fi
