#!/usr/bin/env bash
# Ingestion over HTTP until visible online: one core for the server, two for the load. run.sh [SECONDS]
# env: SERVER_CPU, LOAD_CPU, CONNECTIONS, FOLDER (where the stores lie; a temporary one otherwise).
set -euo pipefail
cd "$(dirname "$0")/../.."
SECONDS_EACH=${1:-10}
SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-2,3} CONNECTIONS=${CONNECTIONS:-16}
cargo build --profile dist -p forebay-bench-ingest
BIN=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/dist/bench-ingest
WORK=$(mktemp -d ${FOLDER:+-p "$FOLDER"})
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$WORK"' EXIT
# A store of its own for each format, since rows that lose against what is there cost less.
for format in arrow ndjson json; do
  PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  taskset -c "$SERVER_CPU" "$BIN" serve "$PORT" "$WORK/$format" &
  SERVER=$!
  python3 -c 'import socket, sys, time
for _ in range(300):
    try: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close(); break
    except OSError: time.sleep(0.1)
else: sys.exit("the server did not start")' "$PORT"
  taskset -c "$LOAD_CPU" "$BIN" load "http://127.0.0.1:$PORT" "$SERVER" "$format" "$CONNECTIONS" "$SECONDS_EACH"
  kill "$SERVER"
  wait "$SERVER" 2>/dev/null || true
done
