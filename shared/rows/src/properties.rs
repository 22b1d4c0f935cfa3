//! Every codec against rows of [`Value`]s, the naive oracle.

use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay_model::{
    DataType, EntityKey, Generation, GroupId, GroupSchema, KeyColumn, KeyType, LayoutNumber, Name, Sequence, Slot,
    Timestamp, Value, canonical::CanonicalHasher,
};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    arrow_types::{Column, Flavor},
    from_arrow,
    json::{Int64As, RowOptions, RowReader, Scanner, SlotWriter, write},
    packed::{Layouts, PackedError, RowHead, RowView, RowsWriter, canonical_hash, patch_sequence, wins},
    rejected::RejectCode,
    to_arrow, values,
};

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub keys: Vec<Value>,
    pub event_time: i64,
    pub ingest_time: i64,
    pub sequence: i64,
    pub deleted: bool,
    pub features: Vec<Value>,
}

fn scalar_type() -> impl Strategy<Value = DataType> {
    prop_oneof![
        Just(DataType::Bool),
        Just(DataType::Int32),
        Just(DataType::Int64),
        Just(DataType::Float32),
        Just(DataType::Float64),
        Just(DataType::String),
        Just(DataType::Binary),
        Just(DataType::Date),
        Just(DataType::Timestamp),
        (1u8..=38)
            .prop_flat_map(|precision| (Just(precision), 0..=precision))
            .prop_map(|(precision, scale)| { DataType::Decimal { precision, scale } }),
    ]
}

fn data_type() -> impl Strategy<Value = DataType> {
    prop_oneof![
        6 => scalar_type(),
        2 => scalar_type().prop_map(|element| DataType::List(Box::new(element))),
        1 => (1u32..5).prop_map(|length| DataType::Vector { length }),
    ]
}

fn key_type() -> impl Strategy<Value = KeyType> {
    prop_oneof![
        Just(KeyType::Int32),
        Just(KeyType::Int64),
        Just(KeyType::String),
        Just(KeyType::Bool),
        Just(KeyType::Date),
        Just(KeyType::Timestamp),
        Just(KeyType::Binary),
    ]
}

/// Floats without NaN, so that values compare; NaN has a test of its own.
fn value(data_type: &DataType) -> BoxedStrategy<Value> {
    let writable = Timestamp::MIN.micros()..=Timestamp::MAX.micros();
    match data_type {
        DataType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        DataType::Int32 => any::<i32>().prop_map(Value::Int32).boxed(),
        DataType::Int64 => any::<i64>().prop_map(Value::Int64).boxed(),
        DataType::Float32 => prop_oneof![
            any::<f32>().prop_filter("not NaN", |v| !v.is_nan()),
            Just(f32::INFINITY)
        ]
        .prop_map(Value::Float32)
        .boxed(),
        DataType::Float64 => prop_oneof![
            any::<f64>().prop_filter("not NaN", |v| !v.is_nan()),
            Just(f64::NEG_INFINITY)
        ]
        .prop_map(Value::Float64)
        .boxed(),
        DataType::String => prop_oneof![any::<String>(), Just(String::new()), "[\0\"\\\\a]{0,5}"]
            .prop_map(Value::String)
            .boxed(),
        DataType::Binary => vec(any::<u8>(), 0..10).prop_map(Value::Binary).boxed(),
        DataType::Date => (write::MIN_DATE..=write::MAX_DATE).prop_map(Value::Date).boxed(),
        DataType::Timestamp => writable.prop_map(Value::Timestamp).boxed(),
        DataType::Decimal { precision, .. } => {
            let limit = 10_i128.pow(u32::from(*precision)) - 1;
            (-limit..=limit).prop_map(Value::Decimal).boxed()
        }
        DataType::Vector { length } => vec(any::<f32>().prop_filter("not NaN", |v| !v.is_nan()), *length as usize)
            .prop_map(Value::Vector)
            .boxed(),
        DataType::List(element) => vec(nullable(element), 0..5).prop_map(Value::List).boxed(),
    }
}

fn nullable(data_type: &DataType) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 3 => value(data_type)].boxed()
}

pub(crate) fn group(keys: &[KeyType], slots: &[(DataType, u16)]) -> GroupSchema {
    let name = |kind: &str, index: usize| Name::new(&format!("{kind}{index}")).expect("a name");
    GroupSchema {
        name: "some.group".parse().expect("a group"),
        id: GroupId(1),
        generation: Generation(0),
        layout: LayoutNumber(slots.iter().map(|slot| slot.1).max().unwrap_or(0)),
        keys: keys
            .iter()
            .enumerate()
            .map(|(index, key_type)| KeyColumn {
                name: name("k", index),
                key_type: *key_type,
            })
            .collect(),
        // Names descend, so that the order of names is not that of slots.
        slots: slots
            .iter()
            .enumerate()
            .map(|(index, (data_type, since))| Slot {
                name: name("f", slots.len() - index),
                data_type: data_type.clone(),
                since: LayoutNumber(*since),
                hidden: false,
            })
            .collect(),
    }
}

fn schema() -> impl Strategy<Value = Arc<GroupSchema>> {
    (vec(key_type(), 1..3), vec((data_type(), 0u16..2), 0..12)).prop_map(|(keys, slots)| {
        let mut since = 0;
        let slots: Vec<_> = slots
            .into_iter()
            .map(|(data_type, step)| {
                since += step;
                (data_type, since)
            })
            .collect();
        Arc::new(group(&keys, &slots))
    })
}

fn row(schema: &GroupSchema) -> impl Strategy<Value = Row> + use<> {
    let keys: Vec<_> = schema.keys.iter().map(|key| value(&key.key_type.data_type())).collect();
    let features: Vec<_> = schema.slots.iter().map(|slot| nullable(&slot.data_type)).collect();
    let times = (
        Timestamp::MIN.micros()..=Timestamp::MAX.micros(),
        0i64..=Timestamp::MAX.micros(),
    );
    (keys, times, 0i64..i64::MAX, any::<bool>(), features).prop_map(|(keys, times, sequence, deleted, features)| Row {
        keys,
        event_time: times.0.min(times.1),
        ingest_time: times.1,
        sequence,
        deleted,
        features,
    })
}

pub(crate) fn schema_and_rows() -> impl Strategy<Value = (Arc<GroupSchema>, Vec<Row>)> {
    schema().prop_flat_map(|schema| {
        let rows = vec(row(&schema), 0..6);
        (Just(schema), rows)
    })
}

pub(crate) fn pack(layouts: &Arc<Layouts>, rows: &[Row]) -> crate::RowBatch {
    let mut writer = RowsWriter::new(layouts.clone());
    for row in rows {
        writer.begin();
        values::write_key(&mut writer, &layouts.schema().key_types(), &row.keys).expect("a key");
        for (slot, value) in row.features.iter().take(layouts.slots().len()).enumerate() {
            values::write(&mut writer, slot, value).expect("of its type");
        }
        writer
            .finish_with(
                Timestamp::from_micros(row.event_time),
                Timestamp::from_micros(row.ingest_time),
                Sequence::from_raw(row.sequence).expect("not negative"),
                row.deleted,
            )
            .expect("small");
    }
    writer.into_batch()
}

fn views(batch: &crate::RowBatch) -> Vec<RowView<'_>> {
    (0..batch.len())
        .map(|index| batch.view(index).expect("a row"))
        .collect()
}

fn naive_hash(schema: &GroupSchema, row: &Row) -> u64 {
    fn one(hasher: &mut CanonicalHasher, value: &Value) {
        match value {
            Value::Null => hasher.null(),
            Value::Bool(v) => hasher.bool(*v),
            Value::Int32(v) | Value::Date(v) => hasher.integer((*v).into()),
            Value::Int64(v) | Value::Timestamp(v) => hasher.integer(*v),
            Value::Float32(v) => hasher.float((*v).into()),
            Value::Float64(v) => hasher.float(*v),
            Value::String(v) => hasher.bytes(v.as_bytes()),
            Value::Binary(v) => hasher.bytes(v),
            Value::Decimal(v) => hasher.decimal(*v),
            Value::List(v) => {
                hasher.list(v.len());
                v.iter().for_each(|value| one(hasher, value));
            }
            Value::Vector(v) => {
                hasher.list(v.len());
                v.iter().for_each(|value| hasher.float((*value).into()));
            }
        }
    }
    let mut features: Vec<_> = schema
        .slots
        .iter()
        .zip(&row.features)
        .filter(|(_, value)| !value.is_null())
        .collect();
    features.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    let mut hasher = CanonicalHasher::new(row.deleted);
    for (slot, value) in features {
        hasher.feature(&slot.name);
        one(&mut hasher, value);
    }
    hasher.finish()
}

/// A row as a caller would write it.
fn as_json(schema: &GroupSchema, batch: &crate::RowBatch, index: usize) -> String {
    let view = batch.view(index).expect("a row");
    let mut out = b"{".to_vec();
    let keys = EntityKey::new(batch.key(index))
        .expect("a key")
        .decode(&schema.key_types())
        .expect("a key");
    for (key, value) in schema.keys.iter().zip(keys) {
        write::string(&mut out, key.name.as_str());
        out.push(b':');
        match value {
            Value::Bool(v) => write::bool(&mut out, v),
            Value::Int32(v) => write::i32(&mut out, v),
            Value::Int64(v) => write::i64(&mut out, v),
            Value::Date(v) => write::date(&mut out, v),
            Value::Timestamp(v) => write::timestamp(&mut out, v),
            Value::String(v) => write::string(&mut out, &v),
            Value::Binary(v) => write::binary(&mut out, &v),
            other => panic!("no key: {other:?}"),
        }
        out.push(b',');
    }
    for (slot, described) in schema.slots.iter().enumerate() {
        write::string(&mut out, described.name.as_str());
        out.push(b':');
        let int64 = if index.is_multiple_of(2) {
            Int64As::Number
        } else {
            Int64As::String
        };
        SlotWriter::new(slot, &described.data_type, int64)
            .write(&view, &mut out)
            .expect("a row");
        out.push(b',');
    }
    out.extend_from_slice(b"\"event_time\":");
    write::timestamp(&mut out, view.head().event_time.micros());
    out.extend_from_slice(if view.head().deleted {
        b",\"_deleted\":true}"
    } else {
        b"}"
    });
    String::from_utf8(out).expect("JSON")
}

proptest! {
    #[test]
    fn packed_rows_read_back((schema, rows) in schema_and_rows()) {
        let layouts = Layouts::new(schema.clone());
        let batch = pack(&layouts, &rows);
        for (index, row) in rows.iter().enumerate() {
            let view = batch.view(index).expect("a row");
            prop_assert_eq!(&values::read_all(&view).expect("a row"), &row.features);
            let head = view.head();
            prop_assert_eq!(
                (head.event_time.micros(), head.ingest_time.micros(), head.sequence.raw(), head.deleted),
                (row.event_time, row.ingest_time, row.sequence, row.deleted)
            );
            let key = EntityKey::new(batch.key(index)).expect("short").decode(&schema.key_types()).expect("a key");
            prop_assert_eq!(&key, &row.keys);
            prop_assert_eq!(canonical_hash(&view).expect("a row"), naive_hash(&schema, row));
        }
        let frozen = batch.clone().freeze();
        prop_assert!(frozen.iter().enumerate().all(|(i, (key, row))| key == batch.key(i) && row == batch.row(i)));
    }

    #[test]
    fn a_later_schema_reads_older_rows_and_an_older_one_says_that_it_is_older((schema, rows) in schema_and_rows(), cut in any::<Index>()) {
        let old_layout = LayoutNumber(cut.index(usize::from(schema.layout.0) + 1) as u16);
        let old = Arc::new(GroupSchema {
            layout: old_layout,
            slots: schema.slots_of(old_layout).expect("known").into(),
            ..(*schema).clone()
        });
        let (old_layouts, layouts) = (Layouts::new(old.clone()), Layouts::new(schema.clone()));
        let batch = pack(&old_layouts, &rows);
        for (index, row) in rows.iter().enumerate() {
            let view = layouts.open(batch.row(index)).expect("an old row");
            let expected: Vec<_> = row.features.iter().enumerate()
                .map(|(slot, value)| if slot < old.slots.len() { value.clone() } else { Value::Null })
                .collect();
            prop_assert_eq!(values::read_all(&view).expect("a row"), expected);
            let old_view = batch.view(index).expect("a row");
            prop_assert_eq!(canonical_hash(&view), canonical_hash(&old_view), "an added feature changes no hash");
        }
        let newer = pack(&layouts, &rows);
        for index in 0..newer.len() {
            let opened = old_layouts.open(newer.row(index)).map(drop);
            if old_layout < schema.layout {
                prop_assert_eq!(opened, Err(PackedError::NewerLayout { found: schema.layout, known: old_layout }));
            } else {
                prop_assert_eq!(opened, Ok(()));
            }
        }
    }

    #[test]
    fn broken_bytes_are_errors_and_never_a_panic((schema, rows) in schema_and_rows(), breaks in vec((any::<Index>(), any::<u8>()), 0..6), cut in any::<Index>()) {
        let layouts = Layouts::new(schema.clone());
        let batch = pack(&layouts, &rows);
        for index in 0..batch.len() {
            let mut bytes = batch.row(index).to_vec();
            for (at, byte) in &breaks {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes.truncate(bytes.len() - cut.index(bytes.len() / 2));
            let _ = RowHead::read(&bytes);
            let _ = wins(&schema, &bytes, batch.row(index));
            let Ok(view) = layouts.open(&bytes) else { continue };
            let _ = values::read_all(&view);
            let _ = canonical_hash(&view);
            let mut out = Vec::new();
            for (slot, described) in schema.slots.iter().enumerate() {
                let _ = SlotWriter::new(slot, &described.data_type, Int64As::Number).write(&view, &mut out);
            }
            for flavor in [Flavor::Arrow, Flavor::Delta] {
                let _ = to_arrow::record_batch(&schema, &Column::all(&schema), flavor, &[batch.key(index)], &[view]);
            }
            let _ = to_arrow::key_columns(&schema.key_types(), &[&bytes]);
        }
    }

    #[test]
    fn arrow_reads_back((schema, rows) in schema_and_rows(), delta in any::<bool>()) {
        let layouts = Layouts::new(schema.clone());
        let batch = pack(&layouts, &rows);
        let flavor = if delta { Flavor::Delta } else { Flavor::Arrow };
        let keys: Vec<_> = (0..batch.len()).map(|index| batch.key(index)).collect();
        let columns: Vec<_> = Column::all(&schema).into_iter()
            .filter(|column| !matches!(column, Column::IngestTime | Column::Sequence)).collect();
        let arrow: RecordBatch = to_arrow::record_batch(&schema, &columns, flavor, &keys, &views(&batch)).expect("rows");
        let read = from_arrow::read(&layouts, &arrow, RowOptions::default());
        prop_assert_eq!(&read.rejected, &vec![]);
        prop_assert_eq!(read.rows.len(), rows.len());
        for (index, row) in rows.iter().enumerate() {
            let view = read.rows.view(index).expect("a row");
            prop_assert_eq!(&values::read_all(&view).expect("a row"), &row.features);
            prop_assert_eq!((view.head().event_time.micros(), view.head().deleted), (row.event_time, row.deleted));
            prop_assert_eq!(read.rows.key(index), batch.key(index));
        }
    }

    #[test]
    fn json_reads_back((schema, rows) in schema_and_rows()) {
        let layouts = Layouts::new(schema.clone());
        let batch = pack(&layouts, &rows);
        let mut reader = RowReader::new(layouts.clone(), RowOptions::default());
        let mut writer = RowsWriter::new(layouts.clone());
        for (index, row) in rows.iter().enumerate() {
            let text = as_json(&schema, &batch, index);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            let mut scanner = Scanner::new(&text);
            let draft = reader.read(&mut scanner, &mut writer).expect("JSON").expect("a row");
            scanner.end().expect("one row");
            prop_assert_eq!((draft.event_time.micros(), draft.deleted), (row.event_time, row.deleted));
            writer.finish(draft.event_time, draft.event_time, draft.deleted).expect("small");
        }
        let read = writer.into_batch();
        for (index, row) in rows.iter().enumerate() {
            prop_assert_eq!(&values::read_all(&read.view(index).expect("a row")).expect("a row"), &row.features);
            prop_assert_eq!(read.key(index), batch.key(index));
        }
    }

    #[test]
    fn a_column_is_its_values_with_commas((schema, rows) in schema_and_rows(), gaps in vec(any::<bool>(), 1..60)) {
        let layouts = Layouts::new(schema.clone());
        let batch = pack(&layouts, &rows);
        let views: Vec<_> = (0..rows.len()).map(|index| batch.view(index).expect("a row")).collect();
        let column: Vec<Option<&RowView<'_>>> =
            gaps.iter().enumerate().map(|(n, gap)| views.get(n % (views.len() + 1)).filter(|_| !gap)).collect();
        for (slot, described) in schema.slots.iter().enumerate() {
            let writer = SlotWriter::new(slot, &described.data_type, Int64As::Number);
            let mut expected = Vec::new();
            for (index, row) in column.iter().enumerate() {
                if index > 0 {
                    expected.push(b',');
                }
                match row {
                    Some(row) => drop(writer.write(row, &mut expected).expect("a value")),
                    None => write::null(&mut expected),
                }
            }
            let mut written = Vec::new();
            let nulls = writer.write_column(column.iter().copied(), &mut written).expect("a column");
            prop_assert_eq!(String::from_utf8(written), String::from_utf8(expected));
            prop_assert_eq!(nulls, column.iter().flatten().any(|row| !row.is_present(slot)));
        }
    }

    #[test]
    fn any_text_is_a_row_a_rejected_row_or_no_json(text in r#"\{("k0":(1|"a"|null|1\.5|true|\[1\]|\{\}),?)?("f[12]":(1|"x"|null|-0\.5e1|[\[][\]]|[\[]1,null[\]]|\{"a":[\[][\]]\})[,]?){0,3}("event_time":("2026-01-01"|null|1|""))?[}]{0,2}"#, schema in schema()) {
        let layouts = Layouts::new(schema);
        let mut writer = RowsWriter::new(layouts.clone());
        let mut reader = RowReader::new(layouts, RowOptions { missing_as_null: true, event_time: Some(Timestamp::MIN) });
        let mut scanner = Scanner::new(&text);
        let read = reader.read(&mut scanner, &mut writer);
        let whole = read.is_ok() && scanner.end().is_ok();
        // serde_json refuses what is no JSON; duplicates and all else that is wrong with a row is told of the row.
        prop_assert_eq!(whole, serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn of_two_rows_the_same_one_wins_everywhere((schema, rows) in schema().prop_flat_map(|schema| {
        let rows = vec(row(&schema), 2..=2);
        (Just(schema), rows)
    }), same_time in any::<bool>(), same_sequence in any::<bool>()) {
        let (mut new, current) = (rows[0].clone(), rows[1].clone());
        if same_time {
            new.event_time = current.event_time;
        }
        if same_sequence {
            new.sequence = current.sequence;
        }
        let batch = pack(&Layouts::new(schema.clone()), &[new.clone(), current.clone()]);
        let order = (new.event_time, new.sequence, naive_hash(&schema, &new));
        let won = wins(&schema, batch.row(0), batch.row(1)).expect("rows");
        prop_assert_eq!(won, order > (current.event_time, current.sequence, naive_hash(&schema, &current)));
    }
}

fn reading(slots: &[DataType], options: RowOptions, text: &str) -> Result<Vec<Value>, (Option<String>, RejectCode)> {
    let slots: Vec<_> = slots.iter().map(|data_type| (data_type.clone(), 0)).collect();
    let layouts = Layouts::new(Arc::new(group(&[KeyType::Int64], &slots)));
    let mut writer = RowsWriter::new(layouts.clone());
    let draft = RowReader::new(layouts, options)
        .read(&mut Scanner::new(text), &mut writer)
        .expect("JSON")
        .map_err(|reject| (reject.field.map(Into::into), reject.code))?;
    writer
        .finish(draft.event_time, draft.event_time, draft.deleted)
        .expect("small");
    let batch = writer.into_batch();
    Ok(values::read_all(&batch.view(0).expect("a row")).expect("a row"))
}

#[test]
fn what_is_wrong_with_a_row_is_told_by_field_and_code() {
    let int = [DataType::Int64];
    let read = |text: &str| reading(&int, RowOptions::default(), text);
    let told = |field: &str, code| Err((Some(field.to_owned()), code));
    const REST: &str = r#""k0":1,"event_time":"2026-01-01T00:00:00Z""#;
    assert_eq!(
        read(&format!(r#"{{{REST},"f1":"9007199254740993"}}"#)),
        Ok(vec![Value::Int64(9_007_199_254_740_993)])
    );
    assert_eq!(
        read(&format!(r#"{{{REST},"\u0066\u0031":1e2}}"#)),
        Ok(vec![Value::Int64(100)])
    );
    assert_eq!(read(&format!(r#"{{{REST}}}"#)), told("f1", RejectCode::MissingFeature));
    assert_eq!(
        read(&format!(r#"{{{REST},"f1":true,"x":[{{}}]}}"#)),
        told("f1", RejectCode::WrongType)
    );
    assert_eq!(
        read(&format!(r#"{{{REST},"f1":1.5}}"#)),
        told("f1", RejectCode::NotExact)
    );
    assert_eq!(
        read(&format!(r#"{{{REST},"f1":1e19}}"#)),
        told("f1", RejectCode::OutOfRange)
    );
    assert_eq!(
        read(&format!(r#"{{{REST},"f1":1,"f1":1}}"#)),
        told("f1", RejectCode::DuplicateField)
    );
    assert_eq!(
        read(&format!(r#"{{{REST},"f1":1,"f2":[[1]]}}"#)),
        told("f2", RejectCode::UnknownField)
    );
    assert_eq!(
        read(&format!(r#"{{{REST},"f1":1,"ingest_time":1}}"#)),
        told("ingest_time", RejectCode::UnknownField)
    );
    assert_eq!(
        read(r#"{"event_time":"2026-01-01T00:00:00Z","f1":1}"#),
        told("k0", RejectCode::MissingKey)
    );
    assert_eq!(read(r#"{"k0":null,"f1":1}"#), told("k0", RejectCode::NullKey));
    assert_eq!(
        read(r#"{"k0":1,"f1":1}"#),
        told("event_time", RejectCode::MissingEventTime)
    );
    assert_eq!(
        read(r#"{"k0":1,"f1":1,"event_time":null}"#),
        told("event_time", RejectCode::NullEventTime)
    );
    assert_eq!(
        read(r#"{"k0":1,"f1":1,"event_time":7}"#),
        told("event_time", RejectCode::WrongType)
    );
    assert_eq!(read("[1]"), Err((None, RejectCode::NotAnObject)));
    assert_eq!(read(&format!(r#"{{{REST},"_deleted":true}}"#)), Ok(vec![Value::Null]));
    let lenient = RowOptions {
        missing_as_null: true,
        event_time: Some(Timestamp::from_micros(5)),
    };
    assert_eq!(reading(&int, lenient, r#"{"k0":1}"#), Ok(vec![Value::Null]));
    let vector = [DataType::Vector { length: 2 }];
    let read = |value: &str| reading(&vector, RowOptions::default(), &format!(r#"{{{REST},"f1":{value}}}"#));
    assert_eq!(
        read(r#"[1,"-Infinity"]"#),
        Ok(vec![Value::Vector(vec![1.0, f32::NEG_INFINITY])])
    );
    assert_eq!(read("[1]"), told("f1", RejectCode::WrongLength));
    assert_eq!(read("[1,2,3]"), told("f1", RejectCode::WrongLength));
    assert_eq!(read("[1,null]"), told("f1", RejectCode::NullElement));
    assert_eq!(read(r#"[1,"x"]"#), told("f1", RejectCode::WrongType));
    let read = |value: &str| {
        reading(
            &[DataType::Float64],
            RowOptions::default(),
            &format!(r#"{{{REST},"f1":{value}}}"#),
        )
    };
    assert!(matches!(read(r#""NaN""#).as_deref(), Ok([Value::Float64(v)]) if v.is_nan()));
    assert_eq!(read(r#""1.5""#), told("f1", RejectCode::WrongType));
    assert_eq!(read("1e999"), told("f1", RejectCode::OutOfRange));
}

#[test]
fn a_repetition_does_not_win_and_a_position_can_be_set() {
    let schema = Arc::new(group(&[KeyType::Int64], &[(DataType::String, 0)]));
    let row = Row {
        keys: vec![Value::Int64(1)],
        event_time: 1,
        ingest_time: 1,
        sequence: 0,
        deleted: false,
        features: vec![Value::String("a".into())],
    };
    let batch = pack(&Layouts::new(schema.clone()), &[row]);
    assert_eq!(wins(&schema, batch.row(0), batch.row(0)), Ok(false));
    let mut later = batch.row(0).to_vec();
    patch_sequence(&mut later, Sequence::from_raw(7).expect("not negative")).expect("a row");
    assert_eq!(RowHead::read(&later).map(|head| head.sequence.raw()), Ok(7));
    assert_eq!(wins(&schema, &later, batch.row(0)), Ok(true));
    let mut batch = batch;
    batch.set_null(0, 0);
    assert_eq!(values::read_all(&batch.view(0).expect("a row")), Ok(vec![Value::Null]));
}
