"""Every row of a Delta table as other projects read it: read.py READER TABLE COLUMN... prints one JSON list per row, times as microseconds.

READER is one of
- deltalake: delta-rs's log, Arrow C++'s Parquet reader
- polars: delta-rs's log, Polars' own Parquet reader
- duckdb: DuckDB's `delta_scan` cannot be had without its extension server, so it queries the files that delta-rs's log names

The options of its object store, a JSON object or null, are read from the standard input.
"""

import json
import os
import sys

import pyarrow as pa
from deltalake import DeltaTable

reader, location, *names = sys.argv[1:]
options = json.load(sys.stdin)

if reader == "deltalake":
    table = DeltaTable(location, storage_options=options).to_pyarrow_table(columns=names)
elif reader == "polars":
    import polars

    table = polars.scan_delta(location, storage_options=options).select(names).collect().to_arrow()
elif reader == "duckdb":
    import duckdb

    rows = DeltaTable(location, storage_options=options).to_pyarrow_dataset()
    # Times as numbers: time zones are an extension as well.
    times = [name for name in names if pa.types.is_timestamp(rows.schema.field(name).type)]
    selected = ", ".join(f'epoch_us("{name}") AS "{name}"' if name in times else f'"{name}"' for name in names)
    table = duckdb.connect().execute(f"SELECT {selected} FROM rows").to_arrow_table()
else:
    sys.exit(f"no such reader: {reader}")

columns = []
for name in names:
    column = table[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    columns.append(column.to_pylist())
for row in zip(*columns):
    print(json.dumps(row))

# Threads of pyarrow that still hold files of delta-rs would abort an interpreter that ends in order.
sys.stdout.flush()
os._exit(0)
