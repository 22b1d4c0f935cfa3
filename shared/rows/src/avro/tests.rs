use std::sync::Arc;

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value as Avro, writer::datum::GenericDatumWriter};
use forebay_model::{DataType, GroupSchema, LayoutNumber, Value};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::{
    packed::{Layouts, RowsWriter},
    properties::{Row, pack, schema_and_rows},
    values,
};

/// The value as apache_avro has it.
fn avro_value(value: &Value, data_type: &DataType) -> Avro {
    match (value, data_type) {
        (Value::Null, _) => Avro::Null,
        (Value::Bool(v), _) => Avro::Boolean(*v),
        (Value::Int32(v), _) => Avro::Int(*v),
        (Value::Int64(v), _) => Avro::Long(*v),
        (Value::Float32(v), _) => Avro::Float(*v),
        (Value::Float64(v), _) => Avro::Double(*v),
        (Value::String(v), _) => Avro::String(v.clone()),
        (Value::Binary(v), _) => Avro::Bytes(v.clone()),
        (Value::Date(v), _) => Avro::Date(*v),
        (Value::Timestamp(v), _) => Avro::TimestampMicros(*v),
        (Value::Decimal(v), _) => Avro::Decimal(shortest(*v).into()),
        (Value::List(v), DataType::List(element)) => Avro::Array(v.iter().map(|v| nullable(v, element)).collect()),
        (Value::Vector(v), _) => Avro::Array(v.iter().map(|v| Avro::Float(*v)).collect()),
        other => panic!("no such value: {other:?}"),
    }
}

fn nullable(value: &Value, data_type: &DataType) -> Avro {
    Avro::Union(u32::from(!value.is_null()), Box::new(avro_value(value, data_type)))
}

fn shortest(value: i128) -> Vec<u8> {
    let all = value.to_be_bytes();
    (0..16)
        .rev()
        .map(|start| all[start..].to_vec())
        .find(|bytes| {
            let mut wide = [if bytes[0] & 0x80 == 0 { 0 } else { 0xFF }; 16];
            wide[16 - bytes.len()..].copy_from_slice(bytes);
            i128::from_be_bytes(wide) == value
        })
        .expect("sixteen bytes are enough")
}

fn record(schema: &GroupSchema, row: &Row) -> Avro {
    let mut fields = Vec::new();
    for (key, value) in schema.keys.iter().zip(&row.keys) {
        fields.push((key.name.to_string(), avro_value(value, &key.key_type.data_type())));
    }
    fields.push(("event_time".into(), Avro::TimestampMicros(row.event_time)));
    fields.push((
        "ingest_time".into(),
        Avro::Union(1, Box::new(Avro::TimestampMicros(row.ingest_time))),
    ));
    for (slot, value) in schema.slots.iter().zip(&row.features) {
        fields.push((slot.name.to_string(), nullable(value, &slot.data_type)));
    }
    fields.push(("_deleted".into(), Avro::Boolean(row.deleted)));
    Avro::Record(fields)
}

fn parsed(schema: &GroupSchema, layout: LayoutNumber) -> Schema {
    Schema::parse(&avro_schema(schema, layout).expect("a layout")).expect("an Avro schema")
}

proptest! {
    #[test]
    fn records_are_those_of_the_avro_library((schema, rows) in schema_and_rows()) {
        let layouts = Layouts::new(schema.clone());
        let avro = parsed(&schema, schema.layout);
        let their_reader = GenericDatumReader::builder(&avro).build().expect("a reader");
        let their_writer = GenericDatumWriter::builder(&avro).build().expect("a writer");
        let batch = pack(&layouts, &rows);
        let mut encoder = AvroEncoder::new(layouts.clone());
        let decoder = AvroDecoder::new(layouts.clone(), schema.layout).expect("a layout");
        let mut writer = RowsWriter::new(layouts.clone());
        for (index, row) in rows.iter().enumerate() {
            let mut ours = Vec::new();
            encoder.encode(batch.key(index), &batch.view(index).expect("a row"), &mut ours).expect("a row");
            let expected = record(&schema, row);
            prop_assert_eq!(their_reader.read_value(&mut &ours[..]).expect("a record"), expected.clone());
            for bytes in [&ours, &their_writer.write_value_to_vec(expected).expect("a record")] {
                let read = decoder.decode(bytes, &mut writer).expect("a record");
                prop_assert_eq!(
                    (read.event_time.micros(), read.ingest_time.map(|time| time.micros()), read.deleted),
                    (row.event_time, Some(row.ingest_time), row.deleted)
                );
                writer.finish(read.event_time, read.event_time, read.deleted).expect("small");
            }
        }
        let read = writer.into_batch();
        for index in 0..read.len() {
            prop_assert_eq!(&values::read_all(&read.view(index).expect("a row")).expect("a row"), &rows[index / 2].features);
            prop_assert_eq!(read.key(index), batch.key(index / 2));
        }
    }

    #[test]
    fn records_of_an_older_schema_are_read_and_broken_ones_are_errors(
        (schema, rows) in schema_and_rows(), cut in any::<Index>(), breaks in vec((any::<Index>(), any::<u8>()), 1..4)
    ) {
        let old_layout = LayoutNumber(cut.index(usize::from(schema.layout.0) + 1) as u16);
        let old = Arc::new(GroupSchema {
            layout: old_layout,
            slots: schema.slots_of(old_layout).expect("known").into(),
            ..(*schema).clone()
        });
        let (old_layouts, layouts) = (Layouts::new(old.clone()), Layouts::new(schema.clone()));
        let batch = pack(&old_layouts, &rows);
        let decoder = AvroDecoder::new(layouts.clone(), old_layout).expect("a layout");
        prop_assert!(AvroDecoder::new(old_layouts.clone(), LayoutNumber(schema.layout.0 + 1)).is_none());
        let mut writer = RowsWriter::new(layouts);
        for (index, row) in rows.iter().enumerate() {
            let mut bytes = Vec::new();
            AvroEncoder::new(old_layouts.clone()).encode(batch.key(index), &batch.view(index).expect("a row"), &mut bytes).expect("a row");
            let read = decoder.decode(&bytes, &mut writer).expect("a record");
            writer.finish(read.event_time, read.event_time, read.deleted).expect("small");
            for (at, byte) in &breaks {
                let mut broken = bytes.clone();
                let at = at.index(broken.len());
                broken[at] = *byte;
                let _ = decoder.decode(&broken, &mut writer).map(|_| writer.abandon());
                prop_assert_eq!(decoder.decode(&bytes[..at], &mut writer).map(drop).is_err(), true);
            }
            let view = writer.take_batch();
            let features = values::read_all(&view.view(0).expect("a row")).expect("a row");
            prop_assert_eq!(&features[..old.slots.len()], &row.features[..old.slots.len()]);
            prop_assert!(features[old.slots.len()..].iter().all(Value::is_null));
        }
    }
}
