"""What Confluent's client does with a schema registry, without a broker.

schema_registry.py REGISTRY TOPIC   reads one JSON object: {"ours": hex of a record of ours, "row": a row to write}
                                    prints one: {"row": our record as it was read, "theirs": [hex of records]}
"""

import datetime
import json
import sys

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

url, topic = sys.argv[1:]
subject = topic + "-value"
given = json.load(sys.stdin)
registry = SchemaRegistryClient({"url": url})
context = SerializationContext(topic, MessageField.VALUE)


def refused(call, status, code):
    try:
        call()
    except SchemaRegistryError as error:
        assert (error.http_status_code, error.error_code) == (status, code), error
        return
    raise AssertionError(f"{code} was expected")


# What tools show.
assert subject in registry.get_subjects()
versions = registry.get_versions(subject)
assert versions == list(range(1, len(versions) + 1)), versions
latest = registry.get_latest_version(subject)
assert latest.version == versions[-1]
assert registry.get_version(subject, 1).schema_id < latest.schema_id
assert registry.get_schema(latest.schema_id).schema_str == latest.schema.schema_str
assert registry.get_compatibility(subject) == "FULL_TRANSITIVE"
assert registry.get_compatibility() == "FULL_TRANSITIVE"

# What is not there.
refused(lambda: registry.get_latest_version(topic + "-key"), 404, 40401)
refused(lambda: registry.get_version(subject, 99), 404, 40402)
refused(lambda: registry.get_schema(99), 404, 40403)

# A schema of the caller's own: found if it says the same, and never registered.
own = json.loads(latest.schema.schema_str)
own["doc"] = "written by hand"
same = Schema(json.dumps(own, indent=2), "AVRO")
assert registry.lookup_schema(subject, same).schema_id == latest.schema_id
own["fields"].append({"name": "mine", "type": "long", "default": 0})
other = Schema(json.dumps(own), "AVRO")
refused(lambda: registry.lookup_schema(subject, other), 404, 40403)
refused(lambda: registry.register_schema(subject, other), 422, 42205)
refused(lambda: registry.register_schema("mine-value", other), 422, 42205)

# Rows, by each way in which serializers come by the schema's id.
row = dict(given["row"])
row["event_time"] = datetime.datetime.fromisoformat(row["event_time"])
settings = [
    {"auto.register.schemas": False, "use.latest.version": True},
    {"auto.register.schemas": False},
    {"auto.register.schemas": True},
]
theirs = [AvroSerializer(registry, same.schema_str, conf=each)(row, context).hex() for each in settings]
# A writer of the first version is understood as well.
first = registry.get_version(subject, 1).schema.schema_str
old = {field["name"]: row[field["name"]] for field in json.loads(first)["fields"]}
theirs.append(AvroSerializer(registry, first, conf=settings[1])(old, context).hex())

ours = AvroDeserializer(registry)(bytes.fromhex(given["ours"]), context)
ours = {name: value.isoformat() if isinstance(value, datetime.datetime) else value for name, value in ours.items()}
print(json.dumps({"row": ours, "theirs": theirs}))
