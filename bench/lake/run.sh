#!/usr/bin/env bash
# Acknowledged rows from the row log into the Delta table, the whole process on one core. run.sh [ROWS]
# env: CPU, FOLDER (where the stores lie; a temporary one otherwise), PROFILE (dist).
set -euo pipefail
cd "$(dirname "$0")/../.."
ROWS=${1:-1000000} CPU=${CPU:-0} PROFILE=${PROFILE:-dist}
cargo build --profile "$PROFILE" -p forebay-bench-lake
BIN=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/$PROFILE/bench-lake
WORK=$(mktemp -d ${FOLDER:+-p "$FOLDER"})
trap 'rm -rf "$WORK"' EXIT
taskset -c "$CPU" "$BIN" "$ROWS" "$WORK"
