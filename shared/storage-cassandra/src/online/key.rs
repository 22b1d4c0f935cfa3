//! Encoded keys as the values of key columns.
//!
//! An encoded key has its integers big-endian with the sign bit flipped. CQL wants it as it was, except in a date, whose days are counted from 2^31 before
//! 1970: there the flipped bit is just right.

use forebay_model::KeyType;

/// These bytes are no key of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an encoded key does not hold its columns")]
pub(super) struct NoKey;

const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xFF;
const END: u8 = 0x01;

/// Calls `column` with the CQL value of each key column, in order.
///
/// Text and binaries that are empty or begin with a zero byte get one more zero byte in front: CQL refuses an empty partition key. So every key stays
/// another than every other.
pub(super) fn columns(mut key: &[u8], types: &[KeyType], mut column: impl FnMut(&[u8])) -> Result<(), NoKey> {
    let mut text = Vec::new();
    for key_type in types {
        match key_type {
            KeyType::Bool => column(&take::<1>(&mut key)?),
            KeyType::Date => column(&take::<4>(&mut key)?),
            KeyType::Int32 => {
                let mut value = take::<4>(&mut key)?;
                value[0] ^= 0x80;
                column(&value);
            }
            KeyType::Int64 | KeyType::Timestamp => {
                let mut value = take::<8>(&mut key)?;
                value[0] ^= 0x80;
                column(&value);
            }
            KeyType::String | KeyType::Binary => {
                text.clear();
                text.push(0);
                unescape(&mut key, &mut text)?;
                let value = match text[1..] {
                    [] | [0, ..] => &text[..],
                    _ => &text[1..],
                };
                column(value);
            }
        }
    }
    if key.is_empty() { Ok(()) } else { Err(NoKey) }
}

fn take<const N: usize>(key: &mut &[u8]) -> Result<[u8; N], NoKey> {
    let (head, tail) = key.split_first_chunk::<N>().ok_or(NoKey)?;
    *key = tail;
    Ok(*head)
}

fn unescape(key: &mut &[u8], text: &mut Vec<u8>) -> Result<(), NoKey> {
    loop {
        let plain = key.iter().position(|byte| *byte == ESCAPE).ok_or(NoKey)?;
        text.extend_from_slice(&key[..plain]);
        let mark = *key.get(plain + 1).ok_or(NoKey)?;
        *key = &key[plain + 2..];
        match mark {
            ESCAPED_ZERO => text.push(0),
            END => return Ok(()),
            _ => return Err(NoKey),
        }
    }
}

#[cfg(test)]
mod tests {
    use forebay_model::{EntityKey, Value};

    use super::*;

    fn of(types: &[KeyType], values: &[Value]) -> Vec<Vec<u8>> {
        let key = EntityKey::encode(types, values).expect("a key");
        let mut found = Vec::new();
        columns(key.as_bytes(), types, |column| found.push(column.to_vec())).expect("a key");
        found
    }

    #[test]
    fn columns_are_what_cql_takes() {
        let types = [
            KeyType::Int32,
            KeyType::Int64,
            KeyType::Date,
            KeyType::Bool,
            KeyType::String,
        ];
        let text = |text: &str| Value::String(text.to_owned());
        let values = [
            Value::Int32(-2),
            Value::Int64(7),
            Value::Date(-1),
            Value::Bool(true),
            text("a\0b"),
        ];
        let expected = [
            (-2_i32).to_be_bytes().to_vec(),
            7_i64.to_be_bytes().to_vec(),
            0x7FFF_FFFF_u32.to_be_bytes().to_vec(),
            vec![1],
            b"a\0b".to_vec(),
        ];
        assert_eq!(of(&types, &values), expected);
    }

    #[test]
    fn no_key_is_empty_and_no_two_are_one() {
        let of = |bytes: &[u8]| of(&[KeyType::Binary], &[Value::Binary(bytes.to_vec())]).remove(0);
        assert_eq!(of(b""), b"\0");
        assert_eq!(of(b"\0"), b"\0\0");
        assert_eq!(of(b"\0\0"), b"\0\0\0");
        assert_eq!(of(b"a\0"), b"a\0");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (bytes, types) in [
            (&b"abc"[..], &[KeyType::String][..]),
            (b"a\x00\x02", &[KeyType::String]),
            (b"a\x00", &[KeyType::String]),
            (b"\x00\x01x", &[KeyType::String]),
            (b"123", &[KeyType::Int32]),
            (b"", &[KeyType::Bool]),
        ] {
            assert_eq!(columns(bytes, types, |_| ()), Err(NoKey), "{bytes:?}");
        }
    }
}
