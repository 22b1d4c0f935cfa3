//! Whether two Avro schemas say the same.

use serde_json::{Map, Value};

/// Compares what the schemas mean to readers and writers: neither the order of attributes, nor documentation, nor how a name or a plain type is written.
pub fn same_schema(one: &Value, other: &Value) -> bool {
    plain(one) == plain(other)
}

fn plain(schema: &Value) -> Value {
    match schema {
        Value::Array(branches) => Value::Array(branches.iter().map(plain).collect()),
        Value::Object(attributes) => {
            let mut plained: Map<String, Value> = attributes
                .iter()
                .filter(|(name, _)| *name != "doc")
                .map(|(name, value)| {
                    let value = match name.as_str() {
                        "type" | "items" | "values" | "fields" => plain(value),
                        _ => value.clone(),
                    };
                    (name.clone(), value)
                })
                .collect();
            if let (Some(Value::String(namespace)), Some(Value::String(name))) =
                (plained.get("namespace"), plained.get("name"))
            {
                let full = match name.contains('.') {
                    true => name.clone(),
                    false => format!("{namespace}.{name}"),
                };
                plained.insert("name".to_owned(), Value::String(full));
                plained.remove("namespace");
            }
            match plained.get("type") {
                Some(only) if plained.len() == 1 => only.clone(),
                _ => Value::Object(plained),
            }
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writing_does_not_matter_and_meaning_does() {
        let schema = json!({"type": "record", "namespace": "a.b", "name": "c", "fields": [
            {"name": "x", "type": ["null", "long"], "default": null},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        ]});
        let written = json!({"name": "a.b.c", "doc": "rows", "type": "record", "fields": [
            {"type": ["null", {"type": "long"}], "name": "x", "default": null, "doc": "a number"},
            {"name": "at", "type": {"logicalType": "timestamp-micros", "type": "long"}},
        ]});
        assert!(same_schema(&schema, &written));
        for (pointer, value) in [
            ("/fields/0/type", json!(["long", "null"])),
            ("/fields/0/default", json!(0)),
            ("/fields/1/type/logicalType", json!("timestamp-millis")),
            ("/name", json!("d")),
        ] {
            let mut other = schema.clone();
            *other.pointer_mut(pointer).expect("a place") = value;
            assert!(!same_schema(&schema, &other), "{pointer}");
        }
    }
}
