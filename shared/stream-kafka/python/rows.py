"""Rows in their topic by Confluent's own client and serializers, which learn the schemas from a schema registry.

rows.py write BROKERS REGISTRY TOPIC   sends the rows that stand on standard input, one JSON object per line
rows.py read BROKERS REGISTRY TOPIC N  prints N records: {"partition", "key", "row"}

In JSON bytes are hex, decimals text, dates and timestamps ISO 8601, as far as Avro's logical types make such of them.
"""

import datetime
import decimal
import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

UTC = datetime.timezone.utc


def key_text(row, keys):
    """The key of a record is the text of the entity key: bare for one column, a compact JSON array for several."""
    values = [row[key] for key in keys]
    if len(values) == 1:
        return str(values[0])
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def to_avro(value):
    if isinstance(value, dict):
        (kind, text), = value.items()
        return {
            "hex": bytes.fromhex,
            "decimal": decimal.Decimal,
            "date": datetime.date.fromisoformat,
            "time": lambda text: datetime.datetime.fromisoformat(text).astimezone(UTC),
        }[kind](text)
    if isinstance(value, list):
        return [to_avro(element) for element in value]
    return value


def of_avro(value):
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime.datetime):
        return {"time": value.astimezone(UTC).isoformat()}
    if isinstance(value, datetime.date):
        return {"date": value.isoformat()}
    if isinstance(value, list):
        return [of_avro(element) for element in value]
    return value


def write(brokers, registry, topic):
    schema = registry.get_latest_version(topic + "-value").schema
    fields = [field["name"] for field in json.loads(schema.schema_str)["fields"]]
    keys = fields[: fields.index("event_time")]
    # Forebay's registry makes the schemas: nobody registers one.
    settings = {"auto.register.schemas": False, "use.latest.version": True}
    serializer = AvroSerializer(registry, schema.schema_str, conf=settings)
    # Java's default; librdkafka has another one.
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random"})
    failed = []

    def delivered(error, message):
        if error is not None:
            failed.append(str(error))

    for line in sys.stdin:
        row = json.loads(line)
        avro = {name: to_avro(value) for name, value in row.items()}
        value = serializer(avro, SerializationContext(topic, MessageField.VALUE))
        producer.produce(topic, key=key_text(row, keys).encode(), value=value, on_delivery=delivered)
    producer.flush(30)
    assert not failed, failed


def read(brokers, registry, topic, count):
    deserializer = AvroDeserializer(registry)
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "rows.py", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, 30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    deadline = time.monotonic() + 30
    while count > 0:
        assert time.monotonic() < deadline, f"{count} records are missing"
        message = consumer.poll(1)
        if message is None:
            continue
        assert message.error() is None, message.error()
        row = deserializer(message.value(), SerializationContext(topic, MessageField.VALUE))
        row = {name: of_avro(value) for name, value in row.items()}
        print(json.dumps({"partition": message.partition(), "key": message.key().decode(), "row": row}))
        count -= 1
    consumer.close()


mode, brokers, url, topic, *rest = sys.argv[1:]
registry = SchemaRegistryClient({"url": url})
if mode == "write":
    write(brokers, registry, topic)
else:
    read(brokers, registry, topic, int(rest[0]))
