#!/bin/sh
# usage: program.sh FEATURES PACKAGE...
# Builds programs, linked statically, from the current folder into ${OUT:-/out}. The same sources and the same toolchain give the same bytes: no path of
# this machine is left in them, and no time. CARGO_TARGET_DIR must be set.
set -eu
features=$1; shift
target=$(uname -m)-unknown-linux-musl
home=${CARGO_HOME:-$HOME/.cargo}
system=$(rustc --print sysroot)

export SOURCE_DATE_EPOCH=0 CARGO_INCREMENTAL=0
export RUSTFLAGS="--remap-path-prefix=$CARGO_TARGET_DIR=/target --remap-path-prefix=$home=/cargo --remap-path-prefix=$system=/rust --remap-path-prefix=$PWD=/src"
export CFLAGS="-ffile-prefix-map=$CARGO_TARGET_DIR=/target -ffile-prefix-map=$home=/cargo -g0"

for package; do set -- "$@" --package "$package"; shift; done
cargo build --profile dist --locked --target "$target" --features "$features" "$@"
for word; do
  [ "$word" = --package ] || install -D -m 755 "$CARGO_TARGET_DIR/$target/dist/$word" "${OUT:-/out}/$word"
done
