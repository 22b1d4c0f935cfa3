#!/usr/bin/env bash
# Online serving against its floor, one core for the server and one for the load. run.sh [SECONDS [ROUNDS]]
# env: SERVER_CPU, LOAD_CPU, CONNECTIONS, BIN (a binary that is built already). Needs wrk (Debian: wrk). Prints one line per measurement, then medians and
# ratios: of requests per second, and of the processor time that a request takes of the server, which other processes on the machine disturb less.
set -euo pipefail
cd "$(dirname "$0")/../.."
SECONDS_EACH=${1:-5} ROUNDS=${2:-5}
SERVER_CPU=${SERVER_CPU:-0} LOAD_CPU=${LOAD_CPU:-2,3} CONNECTIONS=${CONNECTIONS:-16}
if [ -z "${BIN:-}" ]; then
  cargo build --profile dist -p forebay-bench-online
  BIN=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/dist/bench-online
fi
WORK=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$WORK"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
answers() { python3 -c 'import socket, sys, time
for _ in range(300):
    try: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close(); break
    except OSError: time.sleep(0.1)
else: sys.exit("the server did not start")' "$1"; }

FOREBAY=$(free_port); FLOOR=$(free_port)
taskset -c "$SERVER_CPU" "$BIN" serve "$FOREBAY" & FOREBAY_PID=$!; answers "$FOREBAY"
taskset -c "$SERVER_CPU" "$BIN" floor "$FLOOR" "http://127.0.0.1:$FOREBAY" & FLOOR_PID=$!; answers "$FLOOR"

# The same requests for both: 50 features, random entities.
for n in 1 100; do cat >"$WORK/$n.lua" <<LUA
local features = {}
for f = 0, 49 do features[#features + 1] = '"product.value.f' .. f .. '"' end
local head = '{"features": [' .. table.concat(features, ",") .. '], "entities": {"product_id": ['
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  local ids = {}
  for i = 1, $n do ids[i] = math.random(0, 9999) end
  return wrk.format(nil, nil, nil, head .. table.concat(ids, ",") .. "]}}")
end
done = function(summary, latency)
  io.write(string.format("%.1f %d %d %d %d\n", summary.requests / summary.duration * 1e6, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout, summary.requests))
end
LUA
done

ticks() { awk '{sub(/.*\) /, ""); print $12 + $13}' "/proc/$1/stat"; } # of processor time, a hundredth of a second each
measure() { # who entities pid url
  local before; before=$(ticks "$3")
  taskset -c "$LOAD_CPU" wrk -t1 -c"$CONNECTIONS" -d"${SECONDS_EACH}s" -s "$WORK/$2.lua" "$4" | tail -n 1 >"$WORK/line"
  awk -v who="$1" -v n="$2" -v spent="$(($(ticks "$3") - before))" '{print who, n, $1, $2, $3, $4, spent * 10000 / $5}' "$WORK/line" | tee -a "$WORK/results"
}
echo "who entities requests/s p50_us p99_us errors processor_us"
for _ in $(seq "$ROUNDS"); do for n in 1 100; do
  measure floor "$n" "$FLOOR_PID" "http://127.0.0.1:$FLOOR/$n"
  measure forebay "$n" "$FOREBAY_PID" "http://127.0.0.1:$FOREBAY/v1/online-features"
  measure forebay "$n" "$FOREBAY_PID" "http://127.0.0.1:$FOREBAY/v1/online-features"
  measure floor "$n" "$FLOOR_PID" "http://127.0.0.1:$FLOOR/$n"
done; done
python3 - "$WORK/results" <<'PY'
import collections, statistics, sys
runs = collections.defaultdict(list)
for line in open(sys.argv[1]):
    who, entities, rate, p50, p99, errors, processor = line.split()
    assert errors == "0", line
    runs[who, entities].append((float(rate), int(p50), int(p99), float(processor)))
median = lambda who, n, part: statistics.median(run[part] for run in runs[who, n])
for n in ("1", "100"):
    floor, forebay = median("floor", n, 0), median("forebay", n, 0)
    print(f"{n} x 50: forebay {forebay:.0f}/s p50 {median('forebay', n, 1)} us p99 {median('forebay', n, 2)} us; "
          f"floor {floor:.0f}/s p50 {median('floor', n, 1)} us p99 {median('floor', n, 2)} us; ratio {forebay / floor:.2f}; "
          f"processor time {median('forebay', n, 3):.1f} beside {median('floor', n, 3):.1f} us a request, ratio {median('floor', n, 3) / median('forebay', n, 3):.2f}")
PY
