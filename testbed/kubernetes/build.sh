#!/usr/bin/env bash
# usage: build.sh OUT [KUBERNETES_VERSION]
# Builds etcd, all of Kubernetes and kubectl as one program with a link for each name, and CoreDNS, from Go's module proxy. It takes 10 to 20 minutes and
# 9 GB of disk meanwhile; JOBS (2) bounds the compilers at work.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?folder} version=${2:-1.34.4} coredns=v1.15.0
mkdir -p "$out"; out=$(cd "$out" && pwd)
export CGO_ENABLED=0 GOFLAGS="-trimpath -p=${JOBS:-2} -buildvcs=false" GOCACHE
GOCACHE=$(mktemp -d); trap 'rm -rf "$GOCACHE"' EXIT

grep -q "k8s.io/kubernetes v$version\$" "$here/kube/go.mod" || "$here/modules.sh" "$version"
minor=${version#*.} set=
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  set+=" -X $package.gitVersion=v$version -X $package.gitMajor=${version%%.*} -X $package.gitMinor=${minor%%.*}"
done
(cd "$here/kube" && go build -ldflags "-s -w$set" -o "$out/kube" .)
for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do ln -sf kube "$out/$name"; done
[ -x "$out/coredns" ] || GOBIN=$out go install -ldflags '-s -w' "github.com/coredns/coredns@$coredns"
