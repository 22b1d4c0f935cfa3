"""The join in Polars: peer_polars.py DATA ANSWER THREADS TTL_HOURS"""

import json
import os
import sys
import time
from datetime import timedelta

data, answer, threads, ttl_hours = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
os.environ["POLARS_MAX_THREADS"] = threads  # before the import
import polars as pl  # noqa: E402

start = time.perf_counter()
spine = pl.scan_parquet(f"{data}/spine.parquet").sort("event_ts")
feats = pl.scan_parquet(f"{data}/feats.parquet").drop("ingest_ts").sort("event_ts")
joined = spine.join_asof(
    feats,
    on="event_ts",
    by="entity_id",
    strategy="backward",
    tolerance=timedelta(hours=ttl_hours) if ttl_hours else None,
    check_sortedness=False,
)
joined.collect().write_parquet(answer, compression="zstd")
print(json.dumps({"seconds": time.perf_counter() - start}))
