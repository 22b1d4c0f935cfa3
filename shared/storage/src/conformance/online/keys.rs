use std::sync::Arc;

use forebay_model::{
    DataType, Generation, GroupId, GroupSchema, KeyColumn, KeyType, LayoutNumber, Name, Slot, Value, limits,
};

use super::{Installation, OnlineStore, PlainRow, assert_stored, read, upsert};

fn group(id: u32, generation: u16, types: &[KeyType]) -> Arc<GroupSchema> {
    let keys = types.iter().enumerate().map(|(number, key_type)| KeyColumn {
        name: Name::new(&format!("k{number}")).expect("a name"),
        key_type: *key_type,
    });
    Arc::new(GroupSchema {
        name: format!("keys.g{id}").parse().expect("a group"),
        id: GroupId(id),
        generation: Generation(generation),
        layout: LayoutNumber(0),
        keys: keys.collect(),
        slots: Arc::from([Slot {
            name: Name::new("price").expect("a name"),
            data_type: DataType::Float64,
            since: LayoutNumber(0),
            hidden: false,
        }]),
    })
}

fn row(key: Vec<Value>, price: f64) -> PlainRow {
    PlainRow {
        key,
        event_time: 1,
        sequence: 1,
        deleted: false,
        features: vec![Value::Float64(price)],
    }
}

pub(super) async fn every_type_of_key_is_found(place: &dyn Installation<dyn OnlineStore>) {
    let store = place.open().await;
    let text = |text: &str| Value::String(text.to_owned());
    // Three bytes are taken by the end of the text and its escape, whatever the backend puts before it.
    let longest = Value::Binary(vec![7; limits::ENCODED_KEY_LENGTH - 2]);
    let kinds = [
        (KeyType::Bool, vec![Value::Bool(false), Value::Bool(true)]),
        (
            KeyType::Int32,
            vec![Value::Int32(i32::MIN), Value::Int32(0), Value::Int32(i32::MAX)],
        ),
        (
            KeyType::Int64,
            vec![Value::Int64(i64::MIN), Value::Int64(-1), Value::Int64(i64::MAX)],
        ),
        (KeyType::Date, vec![Value::Date(-1), Value::Date(20_000)]),
        (KeyType::Timestamp, vec![Value::Timestamp(-1), Value::Timestamp(1)]),
        (
            KeyType::String,
            vec![text(""), text("a"), text("a\0"), text("\0a"), text("é|\u{1F600}")],
        ),
        (
            KeyType::Binary,
            vec![Value::Binary(vec![]), Value::Binary(vec![0, 255, 0]), longest],
        ),
    ];
    for (id, (key_type, values)) in (1..).zip(kinds) {
        let schema = group(id, 0, &[key_type]);
        store.ensure(&schema).await.expect("made");
        let rows: Vec<_> = (0..)
            .zip(values)
            .map(|(number, value)| row(vec![value], f64::from(number)))
            .collect();
        upsert(&*store, &schema, &rows).await;
        for flushed in [false, true] {
            if flushed {
                store.flush().await.expect("flushed");
            }
            for row in &rows {
                assert_stored(
                    &*store,
                    &schema,
                    row,
                    &format!("a key of type {key_type}, flushed: {flushed}"),
                )
                .await;
            }
        }
    }
}

pub(super) async fn neighbouring_keys_and_groups_are_apart(place: &dyn Installation<dyn OnlineStore>) {
    let store = place.open().await;
    let text = |a: &str, b: &str| vec![Value::String(a.to_owned()), Value::String(b.to_owned())];
    let pair = [KeyType::String, KeyType::String];
    let (one, other, next) = (group(1, 0, &pair), group(256, 0, &pair), group(1, 1, &pair));
    for schema in [&one, &other, &next] {
        store.ensure(schema).await.expect("made");
    }
    let rows = [
        row(text("1", "23"), 1.0),
        row(text("12", "3"), 2.0),
        row(text("a|b", "c"), 3.0),
        row(text("a", "b|c"), 4.0),
    ];
    upsert(&*store, &one, &rows).await;
    upsert(&*store, &next, &[row(text("1", "23"), 9.0)]).await;
    store.flush().await.expect("flushed");
    for row in &rows {
        assert_stored(&*store, &one, row, "no key is another's").await;
        let key = row.packed(&one).key;
        assert_eq!(
            read(&*store, &other, &[&key]).await,
            [None],
            "another group does not have it"
        );
    }
    assert_stored(
        &*store,
        &next,
        &row(text("1", "23"), 9.0),
        "a generation has rows of its own",
    )
    .await;
    let key = rows[1].packed(&one).key;
    assert_eq!(read(&*store, &next, &[&key]).await, [None], "and only them");
}
