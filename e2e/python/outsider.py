"""A writer that knows Delta and nothing of Forebay: outsider.py append|optimize|delete TABLE [ROWS]

ROWS is a JSON list of {item_id, age, score, label, deleted?}; `age` is in seconds before now.
"""

import datetime
import json
import sys

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

command, location = sys.argv[1:3]
table = DeltaTable(location)

if command == "append":
    rows = json.loads(sys.argv[3])
    now = datetime.datetime.now(datetime.timezone.utc)
    moments = pa.timestamp("us", "UTC")
    write_deltalake(
        table,
        pa.table(
            {
                "item_id": pa.array([row["item_id"] for row in rows], pa.int64()),
                "event_time": pa.array([now - datetime.timedelta(seconds=row["age"]) for row in rows], moments),
                "ingest_time": pa.array([now] * len(rows), moments),
                "_sequence": pa.array([None] * len(rows), pa.int64()),
                "score": pa.array([row["score"] for row in rows], pa.float64()),
                "label": pa.array([row["label"] for row in rows], pa.string()),
                "_deleted": pa.array([row.get("deleted") for row in rows], pa.bool_()),
            }
        ),
        mode="append",
    )
elif command == "optimize":
    metrics = table.optimize.compact()
    assert metrics["numFilesRemoved"] > 1, metrics
elif command == "delete":
    # The table is append-only, so an outsider has to want it.
    table.alter.set_table_properties({"delta.appendOnly": "false"})
    metrics = DeltaTable(location).delete("item_id = 1")
    assert metrics["num_deleted_rows"] > 0, metrics
else:
    sys.exit(f"unknown command {command}")
