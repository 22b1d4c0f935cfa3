use forebay_model::{KeyType, Value, entity_key};

use super::write::{self, Int64As};

/// Appends one encoded key column as JSON. `key` was encoded for this type; anything else writes `null`.
pub fn write_key(out: &mut Vec<u8>, key: &[u8], key_type: KeyType, int64: Int64As) {
    match entity_key::decode(key, &[key_type])
        .ok()
        .and_then(|mut values| values.pop())
    {
        Some(Value::Int64(value)) => write::i64_as(out, value, int64),
        Some(Value::Int32(value)) => write::i32(out, value),
        Some(Value::String(value)) => write::string(out, &value),
        Some(Value::Bool(value)) => write::bool(out, value),
        Some(Value::Date(value)) => write::date(out, value),
        Some(Value::Timestamp(value)) => write::timestamp(out, value),
        Some(Value::Binary(value)) => write::binary(out, &value),
        _ => write::null(out),
    }
}
