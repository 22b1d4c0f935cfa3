//! Entity keys as bytes: injective, so that (1, 23) is not (12, 3), and ordered like the values, column after column.
//!
//! Integers, dates and timestamps are big-endian with the sign bit flipped; a bool is one byte; text and binary end with `00 01`, a zero byte inside
//! them is `00 FF`. The columns' types come from the entity, so none are written.

use std::{borrow::Borrow, fmt, sync::Arc};

use crate::{DataType, KeyType, Value, limits::ENCODED_KEY_LENGTH};

/// An encoded key of a group's rows, at most [`ENCODED_KEY_LENGTH`] bytes. Compares like the columns it was made of.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityKey(Arc<[u8]>);

/// Why a key cannot be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key is {0} bytes long when encoded; at most {ENCODED_KEY_LENGTH} are allowed")]
    TooLong(usize),
    #[error("a key column is null; expected a value of type {0}")]
    Null(KeyType),
    #[error("a key column holds another type; expected {0}")]
    WrongType(KeyType),
    #[error("the key has {found} columns; expected {expected}")]
    Columns { found: usize, expected: usize },
    #[error("these bytes are not an encoded key of this entity")]
    Corrupt,
}

const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xFF;
const END: u8 = 0x01;

/// Appends one key column to an encoded key. A batch encodes column by column without an intermediate value.
pub mod append {
    use super::{END, ESCAPE, ESCAPED_ZERO};

    pub fn bool(key: &mut Vec<u8>, value: bool) {
        key.push(u8::from(value));
    }

    /// An int32, or the days of a date.
    pub fn i32(key: &mut Vec<u8>, value: i32) {
        key.extend_from_slice(&(value.cast_unsigned() ^ (1 << 31)).to_be_bytes());
    }

    /// An int64, or the microseconds of a timestamp.
    pub fn i64(key: &mut Vec<u8>, value: i64) {
        key.extend_from_slice(&(value.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    }

    /// A binary, or the UTF-8 of a string.
    pub fn bytes(key: &mut Vec<u8>, value: &[u8]) {
        for &byte in value {
            key.push(byte);
            if byte == ESCAPE {
                key.push(ESCAPED_ZERO);
            }
        }
        key.extend_from_slice(&[ESCAPE, END]);
    }
}

impl EntityKey {
    /// Takes bytes that were written by [`append`].
    ///
    /// # Errors
    /// [`KeyError::TooLong`].
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        check_length(bytes)?;
        Ok(Self(Arc::from(bytes)))
    }

    /// Encodes the values of one key, in the order of the entity's columns.
    ///
    /// # Errors
    /// When a value is null or of another type, their number is another, or the key is too long.
    pub fn encode(types: &[KeyType], values: &[Value]) -> Result<Self, KeyError> {
        if types.len() != values.len() {
            return Err(KeyError::Columns {
                found: values.len(),
                expected: types.len(),
            });
        }
        let mut key = Vec::with_capacity(16 * types.len());
        for (&key_type, value) in types.iter().zip(values) {
            match (key_type, value) {
                (KeyType::Bool, Value::Bool(v)) => append::bool(&mut key, *v),
                (KeyType::Int32, Value::Int32(v)) | (KeyType::Date, Value::Date(v)) => append::i32(&mut key, *v),
                (KeyType::Int64, Value::Int64(v)) | (KeyType::Timestamp, Value::Timestamp(v)) => {
                    append::i64(&mut key, *v)
                }
                (KeyType::String, Value::String(v)) => append::bytes(&mut key, v.as_bytes()),
                (KeyType::Binary, Value::Binary(v)) => append::bytes(&mut key, v),
                (_, Value::Null) => return Err(KeyError::Null(key_type)),
                _ => return Err(KeyError::WrongType(key_type)),
            }
        }
        Self::new(&key)
    }

    /// The values the key was made of.
    ///
    /// # Errors
    /// [`KeyError::Corrupt`] when the bytes were not written for these types.
    pub fn decode(&self, types: &[KeyType]) -> Result<Vec<Value>, KeyError> {
        decode(&self.0, types)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// # Errors
/// [`KeyError::TooLong`] when the encoded key is longer than [`ENCODED_KEY_LENGTH`].
pub fn check_length(key: &[u8]) -> Result<(), KeyError> {
    if key.len() > ENCODED_KEY_LENGTH {
        Err(KeyError::TooLong(key.len()))
    } else {
        Ok(())
    }
}

/// The values that encoded key bytes were made of.
///
/// # Errors
/// [`KeyError::Corrupt`] when the bytes were not written for these types.
pub fn decode(key: &[u8], types: &[KeyType]) -> Result<Vec<Value>, KeyError> {
    let mut rest = key;
    let values = types
        .iter()
        .map(|key_type| {
            Ok(match key_type {
                KeyType::Bool => match take::<1>(&mut rest)? {
                    [0] => Value::Bool(false),
                    [1] => Value::Bool(true),
                    _ => return Err(KeyError::Corrupt),
                },
                KeyType::Int32 => Value::Int32(take_i32(&mut rest)?),
                KeyType::Date => Value::Date(take_i32(&mut rest)?),
                KeyType::Int64 => Value::Int64(take_i64(&mut rest)?),
                KeyType::Timestamp => Value::Timestamp(take_i64(&mut rest)?),
                KeyType::String => {
                    Value::String(String::from_utf8(take_bytes(&mut rest)?).map_err(|_| KeyError::Corrupt)?)
                }
                KeyType::Binary => Value::Binary(take_bytes(&mut rest)?),
            })
        })
        .collect::<Result<_, _>>()?;
    if rest.is_empty() {
        Ok(values)
    } else {
        Err(KeyError::Corrupt)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], KeyError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(KeyError::Corrupt)?;
    *rest = tail;
    Ok(*head)
}

fn take_i32(rest: &mut &[u8]) -> Result<i32, KeyError> {
    Ok((u32::from_be_bytes(take(rest)?) ^ (1 << 31)).cast_signed())
}

fn take_i64(rest: &mut &[u8]) -> Result<i64, KeyError> {
    Ok((u64::from_be_bytes(take(rest)?) ^ (1 << 63)).cast_signed())
}

fn take_bytes(rest: &mut &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut value = Vec::new();
    loop {
        match take::<1>(rest)? {
            [ESCAPE] => match take::<1>(rest)? {
                [ESCAPED_ZERO] => value.push(ESCAPE),
                [END] => return Ok(value),
                _ => return Err(KeyError::Corrupt),
            },
            [byte] => value.push(byte),
        }
    }
}

impl Borrow<[u8]> for EntityKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for EntityKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for EntityKey {
    /// Its length only: a key must never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityKey({} bytes)", self.0.len())
    }
}

/// The column types of a group's key, in order.
#[must_use]
pub fn data_types(types: &[KeyType]) -> Vec<DataType> {
    types.iter().map(|t| t.data_type()).collect()
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn column() -> impl Strategy<Value = (KeyType, Value, Value)> {
        prop_oneof![
            any::<(bool, bool)>().prop_map(|(a, b)| (KeyType::Bool, Value::Bool(a), Value::Bool(b))),
            any::<(i32, i32)>().prop_map(|(a, b)| (KeyType::Int32, Value::Int32(a), Value::Int32(b))),
            any::<(i32, i32)>().prop_map(|(a, b)| (KeyType::Date, Value::Date(a), Value::Date(b))),
            any::<(i64, i64)>().prop_map(|(a, b)| (KeyType::Int64, Value::Int64(a), Value::Int64(b))),
            any::<(i64, i64)>().prop_map(|(a, b)| (KeyType::Timestamp, Value::Timestamp(a), Value::Timestamp(b))),
            ("[\0a|é]{0,4}", "[\0a|é]{0,4}").prop_map(|(a, b)| (KeyType::String, Value::String(a), Value::String(b))),
            (
                vec(prop_oneof![Just(0u8), Just(1), Just(255)], 0..4),
                vec(prop_oneof![Just(0u8), Just(1), Just(255)], 0..4)
            )
                .prop_map(|(a, b)| (KeyType::Binary, Value::Binary(a), Value::Binary(b))),
        ]
    }

    fn compare(a: &Value, b: &Value) -> Ordering {
        match (a, b) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int32(a), Value::Int32(b)) | (Value::Date(a), Value::Date(b)) => a.cmp(b),
            (Value::Int64(a), Value::Int64(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Binary(a), Value::Binary(b)) => a.cmp(b),
            other => panic!("not comparable: {other:?}"),
        }
    }

    proptest! {
        #[test]
        fn bytes_order_and_distinguish_as_values_do(columns in vec(column(), 1..4)) {
            let types: Vec<_> = columns.iter().map(|c| c.0).collect();
            let (a, b): (Vec<_>, Vec<_>) = columns.iter().map(|c| (c.1.clone(), c.2.clone())).unzip();
            let expected = a.iter().zip(&b).map(|(a, b)| compare(a, b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal);
            let (a_key, b_key) = (EntityKey::encode(&types, &a).expect("fits"), EntityKey::encode(&types, &b).expect("fits"));
            prop_assert_eq!(a_key.cmp(&b_key), expected);
            prop_assert_eq!(a_key.decode(&types), Ok(a));
        }

        #[test]
        fn any_bytes_decode_or_are_corrupt(bytes in vec(any::<u8>(), 0..40), columns in vec(column(), 1..4)) {
            let types: Vec<_> = columns.iter().map(|c| c.0).collect();
            if let Ok(values) = decode(&bytes, &types) {
                let again = EntityKey::encode(&types, &values).expect("fits");
                prop_assert_eq!(again.as_bytes(), &bytes[..]);
            }
        }
    }

    #[test]
    fn neighbouring_columns_do_not_run_together() {
        let types = [KeyType::String, KeyType::String];
        let key = |a: &str, b: &str| {
            EntityKey::encode(&types, &[Value::String(a.into()), Value::String(b.into())]).expect("fits")
        };
        assert_ne!(key("a|b", "c"), key("a", "b|c"));
        assert_ne!(key("", "a"), key("a", ""));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(
            EntityKey::encode(&[KeyType::Int64], &[Value::Null]),
            Err(KeyError::Null(KeyType::Int64))
        );
        assert_eq!(
            EntityKey::encode(&[KeyType::Int64], &[Value::Int32(1)]),
            Err(KeyError::WrongType(KeyType::Int64))
        );
        assert!(matches!(
            EntityKey::encode(&[KeyType::Int64], &[]),
            Err(KeyError::Columns { .. })
        ));
        assert!(matches!(
            EntityKey::encode(&[KeyType::String], &[Value::String("x".repeat(ENCODED_KEY_LENGTH))]),
            Err(KeyError::TooLong(_))
        ));
    }
}
