"""The join in DuckDB: peer_duckdb.py DATA ANSWER THREADS TTL_HOURS"""

import json
import sys
import time

import duckdb

data, answer, threads, ttl_hours = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
features = ", ".join(f"f.f{n}" for n in range(10))
if ttl_hours:  # blanked after the join, so that an expired row stays
    features = ", ".join(
        f"CASE WHEN f.event_ts >= s.event_ts - INTERVAL {ttl_hours} HOUR THEN f.f{n} END AS f{n}" for n in range(10)
    )
connection = duckdb.connect(config={"threads": threads, "preserve_insertion_order": False})
start = time.perf_counter()
connection.execute(f"""
    COPY (SELECT s.*, {features}
          FROM '{data}/spine.parquet' s
          ASOF LEFT JOIN '{data}/feats.parquet' f
            ON s.entity_id = f.entity_id AND s.event_ts >= f.event_ts)
    TO '{answer}' (FORMAT parquet, COMPRESSION zstd)""")
print(json.dumps({"seconds": time.perf_counter() - start}))
