use std::sync::Arc;

use forebay_model::{DataType, KeyType};

use crate::{
    packed::{Layouts, ListView, PackedError, RowView},
    to_arrow::{i32_of, i64_of, take_content},
};

/// Writes rows as Avro records of the newest layout's schema.
#[derive(Debug)]
pub struct AvroEncoder {
    layouts: Arc<Layouts>,
    keys: Vec<KeyType>,
    scratch: Vec<u8>,
}

/// Index of the value's branch in `["null", T]`.
const VALUE: u8 = 2;
const NULL: u8 = 0;

impl AvroEncoder {
    #[must_use]
    pub fn new(layouts: Arc<Layouts>) -> Self {
        Self {
            keys: layouts.schema().key_types(),
            layouts,
            scratch: Vec::new(),
        }
    }

    /// Appends one record.
    ///
    /// # Errors
    /// When the key or the row is corrupt; `out` may then end in the middle of a record.
    pub fn encode(&mut self, key: &[u8], row: &RowView<'_>, out: &mut Vec<u8>) -> Result<(), PackedError> {
        self.key(key, out)?;
        long(out, row.head().event_time.micros());
        out.push(VALUE);
        long(out, row.head().ingest_time.micros());
        for (slot, described) in self.layouts.slots().iter().enumerate() {
            if row.is_present(slot) {
                out.push(VALUE);
                value(row, slot, &described.data_type, out)?;
            } else {
                out.push(NULL);
            }
        }
        out.push(u8::from(row.head().deleted));
        Ok(())
    }

    fn key(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<(), PackedError> {
        const CORRUPT: PackedError = PackedError::Corrupt("an encoded key is not of its types");
        let mut rest = key;
        for key_type in &self.keys {
            match key_type {
                KeyType::Bool => {
                    let (byte, tail) = rest.split_first().ok_or(CORRUPT)?;
                    out.push(u8::from(*byte != 0));
                    rest = tail;
                }
                KeyType::Int32 | KeyType::Date => {
                    let (bytes, tail) = rest.split_first_chunk().ok_or(CORRUPT)?;
                    long(out, i32_of(*bytes).into());
                    rest = tail;
                }
                KeyType::Int64 | KeyType::Timestamp => {
                    let (bytes, tail) = rest.split_first_chunk().ok_or(CORRUPT)?;
                    long(out, i64_of(*bytes));
                    rest = tail;
                }
                KeyType::String | KeyType::Binary => {
                    take_content(&mut rest, &mut self.scratch).ok_or(CORRUPT)?;
                    bytes(out, &self.scratch);
                }
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(CORRUPT) }
    }
}

fn value(row: &RowView<'_>, slot: usize, data_type: &DataType, out: &mut Vec<u8>) -> Result<(), PackedError> {
    match data_type {
        DataType::Bool => out.push(u8::from(row.bool(slot))),
        DataType::Int32 | DataType::Date => long(out, row.i32(slot).into()),
        DataType::Int64 | DataType::Timestamp => long(out, row.i64(slot)),
        DataType::Float32 => out.extend_from_slice(&row.f32(slot).to_le_bytes()),
        DataType::Float64 => out.extend_from_slice(&row.f64(slot).to_le_bytes()),
        DataType::String | DataType::Binary => bytes(out, row.bytes(slot)?),
        DataType::Decimal { .. } => decimal(out, row.decimal(slot)),
        DataType::Vector { length } => {
            // A vector's content is Avro's floats as they are.
            let content = row.bytes(slot)?;
            if content.len() != 4 * *length as usize {
                return Err(PackedError::Corrupt("a vector has another length"));
            }
            long(out, i64::from(*length));
            out.extend_from_slice(content);
            out.push(0);
        }
        DataType::List(element) => {
            let list = ListView::open(row.bytes(slot)?, element)?;
            if !list.is_empty() {
                long(out, list.len() as i64);
                for index in 0..list.len() {
                    if list.is_present(index) {
                        out.push(VALUE);
                        element_value(&list, index, element, out)?;
                    } else {
                        out.push(NULL);
                    }
                }
            }
            out.push(0);
        }
    }
    Ok(())
}

fn element_value(list: &ListView<'_>, index: usize, element: &DataType, out: &mut Vec<u8>) -> Result<(), PackedError> {
    match element {
        DataType::Bool => out.push(u8::from(list.bool(index))),
        DataType::Int32 | DataType::Date => long(out, list.i32(index).into()),
        DataType::Int64 | DataType::Timestamp => long(out, list.i64(index)),
        DataType::Float32 => out.extend_from_slice(&list.f32(index).to_le_bytes()),
        DataType::Float64 => out.extend_from_slice(&list.f64(index).to_le_bytes()),
        DataType::String | DataType::Binary => bytes(out, list.bytes(index)?),
        DataType::Decimal { .. } => decimal(out, list.decimal(index)),
        DataType::List(_) | DataType::Vector { .. } => return Err(PackedError::Corrupt("a list holds lists")),
    }
    Ok(())
}

/// An int or long: zigzag, seven bits per byte, least significant first.
fn long(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    long(out, value.len() as i64);
    out.extend_from_slice(value);
}

/// The shortest big-endian two's complement.
fn decimal(out: &mut Vec<u8>, unscaled: i128) {
    let all = unscaled.to_be_bytes();
    let sign = if unscaled < 0 { 0xFF } else { 0 };
    let skipped = all
        .windows(2)
        .take_while(|pair| pair[0] == sign && pair[1] & 0x80 == sign & 0x80)
        .count();
    bytes(out, &all[skipped..]);
}
