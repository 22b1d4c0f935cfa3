//! Confluent's own client and serializers against this registry.

use forebay_model::{EntityKey, LayoutNumber, Timestamp, Value as Plain};
use forebay_rows::{
    Layouts, RowsWriter,
    avro::{AvroDecoder, AvroEncoder, of_schema_id, read_wire_head, schema_id, topic_name, write_wire_head},
    values,
};
use forebay_testbed::{Python, checkout};
use serde_json::{Value, json};

use crate::testing::{CONTRACT, Running};

const TIME: &str = "2026-01-02T03:04:05.000006+00:00";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("hex"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_both_directions() {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    running
        .applied(
            "kind: FeatureGroup\nname: visitor.profile\nentities: [visitor]\n\
             features: [{name: city, type: string}, {name: taste, type: \"vector<float32, 8>\"}, {name: age, type: int32}]",
        )
        .await;
    let snapshot = running.catalog.current();
    let group = snapshot
        .group(&"visitor.profile".parse().expect("a group"))
        .expect("there");
    let schema = &group.schema;
    let layouts = Layouts::new(schema.clone());
    let taste = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, -1.5];
    let features = [
        Plain::String("Recife".to_owned()),
        Plain::Vector(taste.to_vec()),
        Plain::Int32(41),
    ];

    // One of ours, as the row log writes it.
    let key = [Plain::String("v1".to_owned())];
    let mut writer = RowsWriter::new(layouts.clone());
    writer.begin();
    values::write_key(&mut writer, &schema.key_types(), &key).expect("a key");
    for (slot, value) in features.iter().enumerate() {
        values::write(&mut writer, slot, value).expect("a value");
    }
    let time = Timestamp::parse(TIME).expect("a time");
    writer.finish(time, time, false).expect("a small row");
    let batch = writer.into_batch();
    let mut ours = Vec::new();
    write_wire_head(&mut ours, schema_id(schema.id, schema.layout).expect("an id"));
    let view = batch.view(0).expect("a row");
    AvroEncoder::new(layouts.clone())
        .encode(batch.key(0), &view, &mut ours)
        .expect("a row");

    let row = json!({"visitor_id": "v1", "event_time": TIME, "ingest_time": null, "city": "Recife", "taste": taste, "age": 41, "_deleted": false});
    let (url, topic) = (running.server.url(""), topic_name(None, schema));
    let input = json!({"ours": hex(&ours), "row": row}).to_string();
    let printed = tokio::task::block_in_place(|| {
        let python = checkout().join("services/registry/python");
        Python::with(&python.join("requirements.txt")).run(
            &python.join("schema_registry.py"),
            &[url.trim_end_matches('/'), &topic],
            &input,
        )
    });
    let printed: Value = serde_json::from_str(&printed).expect("JSON");

    let mut read = row.clone();
    read["ingest_time"] = json!(TIME);
    assert_eq!(printed["row"], read, "a row of ours, read by others");

    let theirs = printed["theirs"].as_array().expect("records");
    assert_eq!(theirs.len(), 4);
    for (index, record) in theirs.iter().enumerate() {
        let record = unhex(record.as_str().expect("hex"));
        let (id, record) = read_wire_head(&record).expect("Confluent's wire format");
        let layout = if index == 3 { LayoutNumber(0) } else { schema.layout };
        assert_eq!(of_schema_id(id), (schema.id, layout));
        let mut writer = RowsWriter::new(layouts.clone());
        let decoder = AvroDecoder::new(layouts.clone(), layout).expect("a layout");
        let head = decoder
            .decode(record, &mut writer)
            .expect("a row of others, read by us");
        assert_eq!((head.event_time, head.ingest_time, head.deleted), (time, None, false));
        writer.finish(time, time, false).expect("a small row");
        let batch = writer.into_batch();
        let expected = EntityKey::encode(&schema.key_types(), &key).expect("a key");
        assert_eq!(batch.key(0), expected.as_bytes());
        let mut expected = features.to_vec();
        if index == 3 {
            expected[2] = Plain::Null;
        }
        assert_eq!(
            values::read_all(&batch.view(0).expect("a row")).expect("values"),
            expected
        );
    }
}
