"""Every row of a Delta table as another project reads it: rows_of.py TABLE COLUMN... prints one JSON list per row, times as microseconds."""

import json
import sys

import pyarrow as pa
from deltalake import DeltaTable

location, *names = sys.argv[1:]
table = DeltaTable(location).to_pyarrow_table(columns=names)
columns = []
for name in names:
    column = table[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    columns.append(column.to_pylist())
for row in zip(*columns):
    print(json.dumps(row))
