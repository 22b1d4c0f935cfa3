"""Asks through Feast's FeatureStore: feast_client.py BASE_URL GROUP VIEW

Prints one JSON object: the columns of a list of features, and under `service` those of a feature service.
"""

import datetime
import json
import sys
import tempfile

from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Array, Float32, Float64, Int64, String

base_url, group, view = sys.argv[1:4]

with tempfile.TemporaryDirectory() as folder:
    store = FeatureStore(
        config=RepoConfig(
            project="outsider",
            provider="local",
            registry=f"{folder}/registry.db",
            online_store={"type": "remote", "path": base_url},
            offline_store={"type": "file"},
            entity_key_serialization_version=3,
        )
    )
    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.INT64)
    facts = FeatureView(
        name=group,
        entities=[item],
        ttl=datetime.timedelta(0),
        schema=[
            Field(name="item_id", dtype=Int64),
            Field(name="score", dtype=Float64),
            Field(name="number", dtype=Int64),
            Field(name="label", dtype=String),
            Field(name="taste", dtype=Array(Float32)),
        ],
        source=FileSource(path=f"{folder}/none.parquet", timestamp_field="event_time"),
    )
    service = FeatureService(name=view, features=[facts[["score", "label"]]])
    import pandas

    pandas.DataFrame({"item_id": [0], "event_time": [datetime.datetime.now(datetime.timezone.utc)], "score": [0.0],
                      "number": [0], "label": [""], "taste": [[0.0]]}).to_parquet(f"{folder}/none.parquet")
    store.apply([item, facts, service])
    rows = [{"item_id": number} for number in (1, 2, 3)]
    features = [f"{group}:{name}" for name in ("score", "number", "label", "taste")]
    answer = store.get_online_features(features=features, entity_rows=rows).to_dict()
    answer["service"] = store.get_online_features(features=store.get_feature_service(view), entity_rows=rows).to_dict()
    print(json.dumps(answer))
