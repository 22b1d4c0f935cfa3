#!/usr/bin/env bash
# usage: modules.sh KUBERNETES_VERSION
# Writes kube/go.mod and kube/go.sum. Kubernetes' own go.mod replaces its staging modules by folders that the module's archive lacks: here they are the
# published modules of the same release.
set -euo pipefail
version=${1:?such as 1.34.4} staging=0.${1#1.}
cd "$(dirname "$0")/kube"
rm -f go.mod go.sum
mod=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
{
  echo "module kube"
  echo
  grep -m1 '^go ' "$mod"
  grep -m1 '^godebug ' "$mod" || true
  echo
  echo "require k8s.io/kubernetes v$version"
  echo
  echo "replace ("
  sed -n "s#^[[:space:]]*\(k8s.io/[a-z-]*\) => ./staging/src/.*#\t\1 => \1 v$staging#p" "$mod"
  echo ")"
} >go.mod
# etcd's server in the version that Kubernetes was built with; `go mod tidy` finds the rest.
etcd=$(sed -n 's#^[[:space:]]*go.etcd.io/etcd/server/v3 \(v[0-9.]*\).*#\1#p' "$mod")
go mod edit -require "go.etcd.io/etcd/server/v3@$etcd"
go mod tidy -e >/dev/null 2>&1 || true
go mod tidy
