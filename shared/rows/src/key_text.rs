//! The text of an entity key, as the key of a record in Kafka has it: any producer of any language can write it, and any tool shows it.
//!
//! A key of one column is the bare text of its value, as JSON has it but without quotes: `42`, `v1`, `true`, `2026-01-02`, `2026-01-02T03:04:05.000006Z`,
//! binary as base64. A key of several columns is a JSON array without spaces: `[1,"v1"]`. Injective for keys of the same types.

use forebay_model::KeyType;

use crate::{
    json::write,
    packed::PackedError,
    to_arrow::{i32_of, i64_of, take_content},
};

/// Writes texts of encoded keys.
#[derive(Debug)]
pub struct KeyText {
    types: Vec<KeyType>,
    content: Vec<u8>,
}

const CORRUPT: PackedError = PackedError::Corrupt("an encoded key is not of its types");

impl KeyText {
    #[must_use]
    pub fn new(types: Vec<KeyType>) -> Self {
        Self {
            types,
            content: Vec::new(),
        }
    }

    /// Appends the text of an encoded key.
    ///
    /// # Errors
    /// When the bytes were not encoded for these types; `out` may then hold a part of the text.
    pub fn write(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<(), PackedError> {
        let mut rest = key;
        if let [key_type] = *self.types {
            let start = out.len();
            column(&mut rest, key_type, &mut self.content, out, true)?;
            let is_quoted = matches!(key_type, KeyType::Date | KeyType::Timestamp | KeyType::Binary);
            if is_quoted && out.len() > start + 1 {
                out.remove(start);
                out.pop();
            }
        } else {
            out.push(b'[');
            for (index, key_type) in self.types.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                column(&mut rest, *key_type, &mut self.content, out, false)?;
            }
            out.push(b']');
        }
        if rest.is_empty() { Ok(()) } else { Err(CORRUPT) }
    }
}

fn column(
    rest: &mut &[u8],
    key_type: KeyType,
    content: &mut Vec<u8>,
    out: &mut Vec<u8>,
    bare: bool,
) -> Result<(), PackedError> {
    match key_type {
        KeyType::Bool => write::bool(out, take::<1>(rest)? != [0]),
        KeyType::Int32 => write::i32(out, i32_of(take(rest)?)),
        KeyType::Date => write::date(out, i32_of(take(rest)?)),
        KeyType::Int64 => write::i64(out, i64_of(take(rest)?)),
        KeyType::Timestamp => write::timestamp(out, i64_of(take(rest)?)),
        KeyType::String | KeyType::Binary => {
            take_content(rest, content).ok_or(CORRUPT)?;
            if key_type == KeyType::Binary {
                write::binary(out, content);
            } else if bare {
                out.extend_from_slice(content);
            } else {
                write::string(out, std::str::from_utf8(content).map_err(|_| CORRUPT)?);
            }
        }
    }
    Ok(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], PackedError> {
    let (head, tail) = rest.split_first_chunk().ok_or(CORRUPT)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use forebay_model::{EntityKey, Value};

    use super::*;

    fn text(types: &[KeyType], values: &[Value]) -> String {
        let key = EntityKey::encode(types, values).expect("a key");
        let mut out = Vec::new();
        KeyText::new(types.to_vec())
            .write(key.as_bytes(), &mut out)
            .expect("its text");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn one_column_is_bare() {
        for (key_type, value, expected) in [
            (KeyType::Int64, Value::Int64(-42), "-42"),
            (KeyType::Int32, Value::Int32(7), "7"),
            (KeyType::Bool, Value::Bool(true), "true"),
            (KeyType::String, Value::String("a \"b\" ü\0".into()), "a \"b\" ü\0"),
            (KeyType::String, Value::String(String::new()), ""),
            (KeyType::Date, Value::Date(0), "1970-01-01"),
            (KeyType::Timestamp, Value::Timestamp(1), "1970-01-01T00:00:00.000001Z"),
            (KeyType::Timestamp, Value::Timestamp(0), "1970-01-01T00:00:00Z"),
            (KeyType::Binary, Value::Binary(vec![0, 255]), "AP8="),
        ] {
            assert_eq!(text(&[key_type], &[value]), expected);
        }
    }

    #[test]
    fn several_columns_are_an_array() {
        let types = [KeyType::Int64, KeyType::String, KeyType::Date];
        let values = [Value::Int64(1), Value::String("v\"1".into()), Value::Date(0)];
        assert_eq!(text(&types, &values), r#"[1,"v\"1","1970-01-01"]"#);
    }

    #[test]
    fn bytes_of_other_types_are_an_error() {
        let mut keys = KeyText::new(vec![KeyType::Int64]);
        assert!(keys.write(&[0; 7], &mut Vec::new()).is_err());
        assert!(keys.write(&[0; 9], &mut Vec::new()).is_err());
    }
}
