"""Writes a seeded spine and feature history as Parquet, in random order: nobody gets sorted input for free."""

import argparse
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z, microseconds
TIME = pa.timestamp("us", tz="UTC")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="folder for spine.parquet and feats.parquet")
    parser.add_argument("--spine", type=int, default=1_000_000, help="rows asked for")
    parser.add_argument("--feats", type=int, default=5_000_000, help="rows of history")
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--cols", type=int, default=10, help="float64 features")
    parser.add_argument("--days", type=int, default=90, help="span of event times")
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def main():
    args = arguments()
    rng = np.random.default_rng(args.seed)
    span = args.days * 86_400_000_000
    os.makedirs(args.out, exist_ok=True)

    def write(name, columns):
        path = os.path.join(args.out, name)
        table = pa.table(columns)
        pq.write_table(table, path, compression="zstd", row_group_size=1 << 18)
        print(f"{name}: {table.num_rows} rows, {os.path.getsize(path) / 1e6:.1f} MB")

    write("spine.parquet", {
        "row_id": np.arange(args.spine, dtype=np.int64),
        "entity_id": rng.integers(0, args.keys, args.spine),
        "event_ts": pa.array(START + rng.integers(0, span, args.spine), TIME),
        "label": rng.integers(0, 2, args.spine, dtype=np.int8),
    })
    event = START + rng.integers(0, span, args.feats)
    write("feats.parquet", {
        "entity_id": rng.integers(0, args.keys, args.feats),
        "event_ts": pa.array(event, TIME),
        "ingest_ts": pa.array(event + rng.integers(0, 3_600_000_000, args.feats), TIME),
        **{f"f{n}": rng.standard_normal(args.feats) for n in range(args.cols)},
    })


if __name__ == "__main__":
    main()
