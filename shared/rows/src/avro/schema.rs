use forebay_model::{DataType, GroupSchema, LayoutNumber};
use serde_json::{Value, json};

use crate::arrow_types::{DELETED, EVENT_TIME, INGEST_TIME};

/// The Avro schema of a group's rows in one of its layouts; `None` for a layout that the group does not have yet.
#[must_use]
pub fn avro_schema(schema: &GroupSchema, layout: LayoutNumber) -> Option<Value> {
    let mut fields = Vec::new();
    for key in schema.keys.iter() {
        fields.push(json!({"name": key.name.as_str(), "type": avro_type(&key.key_type.data_type())}));
    }
    let time = avro_type(&DataType::Timestamp);
    fields.push(json!({"name": EVENT_TIME, "type": time}));
    fields.push(json!({"name": INGEST_TIME, "type": ["null", time], "default": null}));
    for slot in schema.slots_of(layout)? {
        fields.push(json!({"name": slot.name.as_str(), "type": ["null", avro_type(&slot.data_type)], "default": null}));
    }
    fields.push(json!({"name": DELETED, "type": "boolean", "default": false}));
    Some(json!({
        "type": "record",
        "namespace": format!("forebay.rows.{}", schema.name.domain()),
        "name": schema.name.group().as_str(),
        "fields": fields,
    }))
}

fn avro_type(data_type: &DataType) -> Value {
    match data_type {
        DataType::Bool => json!("boolean"),
        DataType::Int32 => json!("int"),
        DataType::Int64 => json!("long"),
        DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::String => json!("string"),
        DataType::Binary => json!("bytes"),
        DataType::Date => json!({"type": "int", "logicalType": "date"}),
        DataType::Timestamp => json!({"type": "long", "logicalType": "timestamp-micros"}),
        DataType::Decimal { precision, scale } => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
        }
        DataType::List(element) => json!({"type": "array", "items": ["null", avro_type(element)]}),
        DataType::Vector { length } => json!({"type": "array", "items": "float", "forebay.length": length}),
    }
}
