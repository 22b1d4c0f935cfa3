"""Point-in-time join, Parquet to Parquet: Forebay against DuckDB and Polars, on the same data and threads.

    cargo build --release -p forebay-bench --bin pit
    pip install duckdb polars pyarrow numpy
    python bench/pit/run.py --forebay target/release/pit

Peers run in turn, forwards and backwards (ABBA), each in a process of its own, pinned to as many cores as threads. Answers are compared value by value
before anything is timed. Medians of one run are comparable with each other and with nothing else.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forebay", required=True, help="the binary `pit`")
    parser.add_argument("--data", default=os.path.join(tempfile.gettempdir(), "forebay-pit"), help="made when it is missing")
    parser.add_argument("--rounds", type=int, default=5, help="each runs every peer twice")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ttl-hours", type=int, default=0, help="0: rows of any age")
    return parser.parse_args()


def commands(args, out):
    python = [sys.executable]
    common = [str(args.threads), str(args.ttl_hours)]
    forebay = [args.forebay, args.data, out["forebay"], "--threads", common[0], "--ttl-hours", common[1]]
    return {
        "forebay": forebay,
        "duckdb": [*python, f"{HERE}/peer_duckdb.py", args.data, out["duckdb"], *common],
        "polars": [*python, f"{HERE}/peer_polars.py", args.data, out["polars"], *common],
    }


def run(command, threads):
    """Seconds that the peer tells, and its peak memory in MB."""
    pinned = ["taskset", "-c", ",".join(map(str, range(threads))), *command]
    process = subprocess.Popen(pinned, stdout=subprocess.PIPE, text=True)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return json.loads(text.splitlines()[-1])["seconds"], usage.ru_maxrss / 1024


def check(out):
    """All answers have the same rows; nobody but Forebay promises their order."""
    import pyarrow.parquet as pq

    def read(peer):
        table = pq.read_table(out[peer]).sort_by("row_id")
        return table.select(["row_id", "entity_id", "event_ts", "label", *(f"f{n}" for n in range(10))])

    ours = pq.read_table(out["forebay"], columns=["row_id"])["row_id"].to_numpy()
    if (ours[1:] < ours[:-1]).any():
        sys.exit("forebay's rows are not in the order of the spine")
    expected = read("forebay")
    for peer in ("duckdb", "polars"):
        found = read(peer)
        for name in expected.column_names:
            if not expected[name].combine_chunks().equals(found[name].combine_chunks().cast(expected[name].type)):
                sys.exit(f"{peer} and forebay differ in {name}")
    print(f"answers are equal: {expected.num_rows} rows, {expected['f0'].null_count} without a match")


def main():
    args = arguments()
    if not os.path.exists(os.path.join(args.data, "feats.parquet")):
        subprocess.run([sys.executable, f"{HERE}/generate.py", args.data], check=True)
    with tempfile.TemporaryDirectory() as folder:
        out = {peer: os.path.join(folder, f"{peer}.parquet") for peer in ("forebay", "duckdb", "polars")}
        peers = commands(args, out)
        for command in peers.values():
            run(command, args.threads)  # also warms the page cache
        check(out)
        seconds = {peer: [] for peer in peers}
        memory = {peer: 0.0 for peer in peers}
        for _ in range(args.rounds):
            for peer in [*peers, *reversed(peers)]:
                took, peak = run(peers[peer], args.threads)
                seconds[peer].append(took)
                memory[peer] = max(memory[peer], peak)
    fastest = min(statistics.median(seconds[peer]) for peer in ("duckdb", "polars"))
    print(f"\n| peer | median s | least s | greatest s | of the faster peer | peak MB |\n|---|---|---|---|---|---|")
    for peer, times in seconds.items():
        median = statistics.median(times)
        print(f"| {peer} | {median:.2f} | {min(times):.2f} | {max(times):.2f} | {median / fastest:.2f} | {memory[peer]:.0f} |")


if __name__ == "__main__":
    main()
