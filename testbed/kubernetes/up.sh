#!/usr/bin/env bash
# Brings up Kubernetes with one node on this machine: etcd, API server, controllers, scheduler, containerd, kubelet, kube-proxy and CoreDNS. Needs root.
# The API server and the node are reached at GATEWAY, the address of the pods' bridge, which exists on this machine only; NodePorts at 127.0.0.1 and there.
#
# Environment: BIN (from build.sh), FOLDER (state; short, as sockets lie in it), PORTS (nine free ports), POD_NET and SVC_NET (/24 prefixes), BRIDGE.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${BIN:?}" "${FOLDER:?}" "${PORTS:?}" "${POD_NET:=10.244.0}" "${SVC_NET:=10.96.0}" "${BRIDGE:=forebay0}"
read -r p_etcd p_peer p_api p_controllers p_scheduler p_kubelet p_kubelet_health p_proxy_health p_proxy_metrics <<<"$PORTS"
NODE=node1 GATEWAY=$POD_NET.1
API=https://$GATEWAY:$p_api
cd "$FOLDER"; chmod 700 .; mkdir pki log pid etcd

start() { # name command...
  local name=$1; shift
  setsid "$@" >"log/$name.log" 2>&1 </dev/null & echo $! >"pid/$name"; }
wait_for() { # seconds what command...
  local seconds=$1 what=$2; shift 2
  for _ in $(seq $((seconds * 5))); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
  echo "$what takes too long; the last lines of all logs:" >&2
  tail -n 5 log/*.log >&2; exit 1; }
kubectl() { "$BIN/kubectl" --kubeconfig "$FOLDER/admin.kubeconfig" "$@"; }
ctr_() { ctr --address "$FOLDER/containerd.sock" -n k8s.io "$@"; }

# --- certificates, and who may come in with them ------------------------------------------------
key() { openssl ecparam -name prime256v1 -genkey -noout -out "pki/$1.key"; }
certificate() { # file subject extension
  key "$1"; openssl req -new -key "pki/$1.key" -subj "$2" -out pki/request
  openssl x509 -req -in pki/request -CA pki/ca.crt -CAkey pki/ca.key -CAcreateserial -days 30 -out "pki/$1.crt" -extfile <(echo "$3") 2>/dev/null; }
key ca; openssl req -x509 -new -key pki/ca.key -subj /CN=testbed -days 30 -out pki/ca.crt
openssl genrsa -out pki/service-accounts.key 2048 2>/dev/null
certificate apiserver /CN=kube-apiserver \
  "subjectAltName=IP:127.0.0.1,IP:$GATEWAY,IP:$SVC_NET.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
certificate kubelet-serving /CN=$NODE "subjectAltName=IP:$GATEWAY,IP:127.0.0.1,DNS:$NODE"
user() { # name subject
  certificate "$1" "$2" extendedKeyUsage=clientAuth
  cat >"$1.kubeconfig" <<Y
apiVersion: v1
kind: Config
clusters: [{name: testbed, cluster: {server: "$API", certificate-authority: "$FOLDER/pki/ca.crt"}}]
users: [{name: $1, user: {client-certificate: "$FOLDER/pki/$1.crt", client-key: "$FOLDER/pki/$1.key"}}]
contexts: [{name: testbed, context: {cluster: testbed, user: $1}}]
current-context: testbed
Y
}
user admin /O=system:masters/CN=admin
user controllers /CN=system:kube-controller-manager
user scheduler /CN=system:kube-scheduler
user kubelet "/O=system:nodes/CN=system:node:$NODE"
user proxy /CN=system:kube-proxy
user dns /O=system:masters/CN=dns

# --- the pods' bridge -----------------------------------------------------------------------------
ip link show "$BRIDGE" >/dev/null 2>&1 || ip link add "$BRIDGE" type bridge
ip addr replace "$GATEWAY/24" dev "$BRIDGE"; ip link set "$BRIDGE" up
for setting in ip_forward conf/all/route_localnet; do echo "$setting $(cat /proc/sys/net/ipv4/$setting)"; done >sysctl.before
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null || true

# --- control plane --------------------------------------------------------------------------------
start etcd "$BIN/etcd" --data-dir "$FOLDER/etcd" --unsafe-no-fsync --log-level warn \
  --listen-client-urls "http://127.0.0.1:$p_etcd" --advertise-client-urls "http://127.0.0.1:$p_etcd" \
  --listen-peer-urls "http://127.0.0.1:$p_peer" --initial-advertise-peer-urls "http://127.0.0.1:$p_peer" \
  --initial-cluster "default=http://127.0.0.1:$p_peer"
start kube-apiserver "$BIN/kube-apiserver" --etcd-servers "http://127.0.0.1:$p_etcd" \
  --bind-address "$GATEWAY" --advertise-address "$GATEWAY" --secure-port "$p_api" --service-cluster-ip-range "$SVC_NET.0/24" \
  --tls-cert-file pki/apiserver.crt --tls-private-key-file pki/apiserver.key --client-ca-file pki/ca.crt \
  --kubelet-preferred-address-types InternalIP --kubelet-certificate-authority pki/ca.crt \
  --kubelet-client-certificate pki/admin.crt --kubelet-client-key pki/admin.key \
  --service-account-issuer https://kubernetes.default.svc --service-account-key-file pki/service-accounts.key \
  --service-account-signing-key-file pki/service-accounts.key --authorization-mode Node,RBAC --allow-privileged \
  --enable-admission-plugins NodeRestriction
wait_for 60 "the API server" kubectl get --raw /readyz
start kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig controllers.kubeconfig --bind-address 127.0.0.1 \
  --secure-port "$p_controllers" --root-ca-file pki/ca.crt --service-account-private-key-file pki/service-accounts.key \
  --use-service-account-credentials --leader-elect=false --cluster-signing-cert-file pki/ca.crt --cluster-signing-key-file pki/ca.key
start kube-scheduler "$BIN/kube-scheduler" --kubeconfig scheduler.kubeconfig --authentication-kubeconfig scheduler.kubeconfig \
  --authorization-kubeconfig scheduler.kubeconfig --bind-address 127.0.0.1 --secure-port "$p_scheduler" --leader-elect=false
wait_for 30 "the default service account" kubectl -n default get serviceaccount default

# --- containerd -----------------------------------------------------------------------------------
mkdir -p cni containerd/{root,state} registry
cat >cni/10-bridge.conflist <<Y
{"cniVersion":"0.4.0","name":"$BRIDGE","plugins":[
 {"type":"bridge","bridge":"$BRIDGE","isDefaultGateway":true,"forceAddress":false,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","dataDir":"$FOLDER/cni-addresses","ranges":[[{"subnet":"$POD_NET.0/24"}]]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
Y
# A root without CAP_SYS_RESOURCE cannot lower oom_score_adj, and runc then fails with "can't get final child's PID from pipe: EOF": hence restrict_oom_score_adj.
cat >containerd/config.toml <<Y
version = 2
root = "$FOLDER/containerd/root"
state = "$FOLDER/containerd/state"
[grpc]
  address = "$FOLDER/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$FOLDER/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${CNI_BIN:-/usr/lib/cni}"
    conf_dir = "$FOLDER/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$FOLDER/registry"
Y
start containerd containerd --config "$FOLDER/containerd/config.toml"
wait_for 30 containerd ctr_ version

# The image of the container that holds a pod's network: one static program, packed as `docker save` does.
mkdir pause; gcc -Os -static -s -o pause/pause "$here/pause.c"
plain=(--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner)
tar "${plain[@]}" -C pause -cf layer.tar pause
layer=$(sha256sum layer.tar | cut -d' ' -f1); mv layer.tar "pause/$layer.tar"; rm pause/pause
printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/pause"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$layer" >pause/config.json
printf '[{"Config":"config.json","RepoTags":["localhost/pause:1"],"Layers":["%s.tar"]}]' "$layer" >pause/manifest.json
tar "${plain[@]}" -C pause -cf pause.tar .
ctr_ images import pause.tar >/dev/null

# --- kubelet, kube-proxy, DNS -----------------------------------------------------------------------
cat >kubelet.yaml <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$FOLDER/pki/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: "$FOLDER/pki/kubelet-serving.crt"
tlsPrivateKeyFile: "$FOLDER/pki/kubelet-serving.key"
address: $GATEWAY
port: $p_kubelet
healthzPort: $p_kubelet_health
containerRuntimeEndpoint: "unix://$FOLDER/containerd.sock"
cgroupDriver: cgroupfs
# Older kernels have the first version of control groups, which kubelets from 1.35 on refuse.
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
clusterDNS: ["$GATEWAY"]
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
podLogsDir: "$FOLDER/log/pods"
volumePluginDir: "$FOLDER/volume-plugins"
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}
protectKernelDefaults: false
makeIPTablesUtilChains: false
shutdownGracePeriod: 0s
Y
start kubelet "$BIN/kubelet" --config kubelet.yaml --kubeconfig kubelet.kubeconfig --hostname-override $NODE --node-ip "$GATEWAY" \
  --root-dir "$FOLDER/kubelet"
cat >proxy.yaml <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: "$FOLDER/proxy.kubeconfig"}
hostnameOverride: $NODE
mode: iptables
clusterCIDR: $POD_NET.0/24
healthzBindAddress: 127.0.0.1:$p_proxy_health
metricsBindAddress: 127.0.0.1:$p_proxy_metrics
nodePortAddresses: [127.0.0.0/8, $GATEWAY/32]
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
Y
start kube-proxy "$BIN/kube-proxy" --config proxy.yaml
cat >Corefile <<Y
.:53 {
  bind $GATEWAY
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig $FOLDER/dns.kubeconfig testbed
  }
  forward . /etc/resolv.conf
}
Y
start coredns "$BIN/coredns" -conf "$FOLDER/Corefile"
wait_for 60 "the node" kubectl wait --for=condition=Ready node/$NODE --timeout=2s
