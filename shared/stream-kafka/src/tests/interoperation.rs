//! Confluent's client reads what we append and writes what we read, with schemas from a registry.

use std::{collections::BTreeMap, sync::Arc};

use forebay_model::{
    DataType, EntityKey, Generation, GroupId, GroupSchema, KeyColumn, KeyType, LayoutNumber, Name, Slot, Timestamp,
    Value as Plain, entity_key,
};
use forebay_rows::{Layouts, RowHead, RowsWriter, avro::subject, values};
use forebay_storage::{LogRow, LoggedRow, Provision, RowLog};
use forebay_testbed::{Python, checkout};
use serde_json::{Value, json};

use super::{
    place::{Environment, shared_cluster},
    rows::{batch, fetch_all},
    schema_registry,
};

/// A group with two keys and a feature of every type.
fn schema() -> Arc<GroupSchema> {
    let name = |text: &str| Name::new(text).expect("a name");
    let decimal = DataType::Decimal {
        precision: 10,
        scale: 2,
    };
    let slots = [
        ("a_bool", DataType::Bool),
        ("an_int32", DataType::Int32),
        ("an_int64", DataType::Int64),
        ("a_float32", DataType::Float32),
        ("a_float64", DataType::Float64),
        ("a_string", DataType::String),
        ("a_binary", DataType::Binary),
        ("a_date", DataType::Date),
        ("a_timestamp", DataType::Timestamp),
        ("a_decimal", decimal),
        ("a_list", DataType::List(Box::new(DataType::String))),
        ("a_vector", DataType::Vector { length: 3 }),
    ];
    let slots = slots.map(|(slot, data_type)| Slot {
        name: name(slot),
        data_type,
        since: LayoutNumber(0),
        hidden: false,
    });
    let keys = [("shop", KeyType::Int64), ("visitor", KeyType::String)];
    Arc::new(GroupSchema {
        name: "shop.everything".parse().expect("a group"),
        id: GroupId(300_000),
        generation: Generation(0),
        layout: LayoutNumber(0),
        keys: keys
            .map(|(key, key_type)| KeyColumn {
                name: name(key),
                key_type,
            })
            .into(),
        slots: slots.into(),
    })
}

fn key(number: i64) -> Vec<Plain> {
    vec![Plain::Int64(number), Plain::String(format!("v\"{number}\" ü"))]
}

fn features(number: i64) -> Vec<Plain> {
    if number % 3 == 0 {
        return vec![Plain::Null; 12];
    }
    vec![
        Plain::Bool(number % 2 == 0),
        Plain::Int32(i32::MIN + i32::try_from(number).expect("small")),
        Plain::Int64(i64::MAX - number),
        Plain::Float32(0.5),
        Plain::Float64(-1e300),
        Plain::String("Recife ü".into()),
        Plain::Binary(vec![0, 255]),
        Plain::Date(20_000),
        Plain::Timestamp(1_700_000_000_000_001),
        Plain::Decimal(-12_345),
        Plain::List(vec![Plain::String(String::new()), Plain::Null]),
        Plain::Vector(vec![1.0, -2.5, 0.0]),
    ]
}

/// The features as the script has them.
fn features_json(number: i64) -> Vec<Value> {
    if number % 3 == 0 {
        return vec![Value::Null; 12];
    }
    vec![
        json!(number % 2 == 0),
        json!(i64::from(i32::MIN) + number),
        json!(i64::MAX - number),
        json!(0.5),
        json!(-1e300),
        json!("Recife ü"),
        json!({"hex": "00ff"}),
        json!({"date": "2024-10-04"}),
        json!({"time": "2023-11-14T22:13:20.000001+00:00"}),
        json!({"decimal": "-123.45"}),
        json!(["", null]),
        json!([1.0, -2.5, 0.0]),
    ]
}

const EVENT_TIME: i64 = 1_700_000_000_123_456;
const EVENT_TIME_TEXT: &str = "2023-11-14T22:13:20.123456+00:00";

fn row_json(schema: &GroupSchema, number: i64, ingest_time: &Value) -> Value {
    let mut row = serde_json::Map::new();
    row.insert("shop".into(), json!(number));
    row.insert("visitor".into(), json!(format!("v\"{number}\" ü")));
    row.insert("event_time".into(), json!({"time": EVENT_TIME_TEXT}));
    row.insert("ingest_time".into(), ingest_time.clone());
    for (slot, value) in schema.slots.iter().zip(features_json(number)) {
        row.insert(slot.name.to_string(), value);
    }
    row.insert("_deleted".into(), json!(number % 5 == 4));
    row.into()
}

fn row(schema: &Arc<GroupSchema>, number: i64) -> LogRow {
    let mut writer = RowsWriter::new(Layouts::new(schema.clone()));
    writer.begin();
    values::write_key(&mut writer, &schema.key_types(), &key(number)).expect("a key");
    for (slot, value) in features(number).iter().enumerate() {
        values::write(&mut writer, slot, value).expect("a value");
    }
    let time = Timestamp::from_micros(EVENT_TIME);
    writer.finish(time, time, number % 5 == 4).expect("a small row");
    let (key, row) = writer.into_batch().freeze().iter().next().expect("a row");
    LogRow { key, row }
}

/// Rows by the number in their key, with their partitions.
fn by_number(schema: &GroupSchema, all: BTreeMap<u32, Vec<LoggedRow>>) -> BTreeMap<i64, Vec<(u32, LoggedRow)>> {
    let mut found: BTreeMap<i64, Vec<_>> = BTreeMap::new();
    for (partition, rows) in all {
        for row in rows {
            let key = entity_key::decode(&row.key, &schema.key_types()).expect("a key");
            let Plain::Int64(number) = key[0] else {
                panic!("{key:?}")
            };
            found.entry(number).or_default().push((partition, row));
        }
    }
    found
}

/// What the script prints.
fn run(arguments: &[&str], input: &str) -> String {
    let folder = checkout().join("shared/stream-kafka/python");
    tokio::task::block_in_place(|| {
        Python::with(&folder.join("requirements.txt")).run(&folder.join("rows.py"), arguments, input)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn with_confluents_serializers_in_both_directions() {
    const ROWS: i64 = 30;
    let environment = Environment::on(shared_cluster());
    let (log, schema) = (environment.row_log(), schema());
    log.ensure(&schema).await.expect("made");
    let topic = environment.names().rows(&schema);
    let registry = schema_registry::serve(schema.clone(), subject(&topic));
    let brokers = environment.config.brokers.join(",");

    let rows = (0..ROWS).map(|number| row(&schema, number)).collect();
    log.append(&schema, batch(1), rows).await.expect("appended");
    let count = ROWS.to_string();
    let script = ["read", &brokers, &registry, &topic, &count];
    let printed = run(&script, "");
    let mut read = BTreeMap::new();
    for line in printed.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let number = record["row"]["shop"].as_i64().expect("a number");
        read.insert(number, record);
    }
    assert_eq!(read.len() as i64, ROWS);
    for (number, record) in &read {
        let expected = row_json(&schema, *number, &json!({"time": EVENT_TIME_TEXT}));
        assert_eq!(record["row"], expected, "a row of ours, read by others");
        let key = json!([number, format!("v\"{number}\" ü")]).to_string();
        assert_eq!(record["key"], json!(key));
    }

    let lines = (0..ROWS).map(|number| row_json(&schema, number, &Value::Null).to_string() + "\n");
    let script = ["write", &brokers, &registry, &topic];
    run(&script, &lines.collect::<String>());
    let layouts = Layouts::new(schema.clone());
    let all = by_number(&schema, fetch_all(&*environment.row_log(), &schema).await);
    assert_eq!(all.len() as i64, ROWS);
    for (number, rows) in all {
        let [(our_partition, ours), (partition, theirs)] = &rows[..] else {
            panic!("{} rows of {number}", rows.len());
        };
        assert_eq!(
            partition, our_partition,
            "their partitioner puts the key where ours does"
        );
        let expected = EntityKey::encode(&schema.key_types(), &key(number)).expect("a key");
        assert_eq!((&*theirs.key, &theirs.key), (expected.as_bytes(), &ours.key));
        let read = |row: &LoggedRow| values::read_all(&layouts.open(&row.row).expect("a row")).expect("values");
        assert_eq!(read(theirs), features(number), "a row of others, read by us");
        assert_eq!(read(theirs), read(ours));
        let head = RowHead::read(&theirs.row).expect("a row");
        assert_eq!((head.event_time.micros(), head.deleted), (EVENT_TIME, number % 5 == 4));
        assert!(head.ingest_time.micros() > EVENT_TIME, "that of the append");
    }
}
