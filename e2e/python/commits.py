"""Appends and compactions by a writer that knows Delta and nothing of Forebay: commits.py TABLE COMMITS ROWS

Commit number n appends ROWS rows, one per item, with n as price; the table is compacted after every third. Prints how many compactions there were and how
many of them failed, as somebody else had rewritten the files.
"""

import datetime
import json
import sys

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

location, commits, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
moments = pa.timestamp("us", "UTC")
compactions = conflicts = 0

for number in range(commits):
    now = datetime.datetime.now(datetime.timezone.utc)
    write_deltalake(
        DeltaTable(location),
        pa.table(
            {
                "item_id": pa.array(range(rows), pa.int64()),
                "event_time": pa.array([now] * rows, moments),
                "ingest_time": pa.array([now] * rows, moments),
                "_sequence": pa.array([None] * rows, pa.int64()),
                "price": pa.array([float(number)] * rows, pa.float64()),
                "_deleted": pa.array([None] * rows, pa.bool_()),
            }
        ),
        mode="append",
    )
    if number % 3 == 2:
        compactions += 1
        try:
            DeltaTable(location).optimize.compact()
        except CommitFailedError:
            conflicts += 1

print(json.dumps({"compactions": compactions, "conflicts": conflicts}))
