use std::sync::Arc;

use forebay_model::{
    DataType, KeyError, KeyType, LayoutNumber, Timestamp,
    entity_key::{append, check_length},
};

use crate::packed::{Layouts, ListWriter, RowsWriter};

/// Reads Avro records that were written with one of a group's own schemas.
#[derive(Debug)]
pub struct AvroDecoder {
    layouts: Arc<Layouts>,
    keys: Vec<KeyType>,
    /// How many slots the writer's layout has.
    slots: usize,
}

/// The times and kind of a row whose key and features were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvroRow {
    pub event_time: Timestamp,
    /// `None`: the time of the record itself is taken.
    pub ingest_time: Option<Timestamp>,
    pub deleted: bool,
}

/// Why bytes are no row of the schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AvroError {
    #[error("the record ends early")]
    Short,
    #[error("something follows the record")]
    Long,
    #[error("a number has more than 64 bits")]
    Number,
    #[error("a bool is neither 0 nor 1")]
    Bool,
    #[error("a union has no such branch")]
    Branch,
    #[error("a string is not UTF-8")]
    Utf8,
    /// The value is beyond what its type can hold.
    #[error("the value of `{0}` is out of the range of its type")]
    OutOfRange(Box<str>),
    #[error("the vector `{0}` has another length")]
    Length(Box<str>),
    #[error("a list has more elements than the record has bytes")]
    List,
    #[error(transparent)]
    Key(#[from] KeyError),
}

struct Input<'a>(&'a [u8]);

impl AvroDecoder {
    /// For records of the schema of `layout`; `None` when the group does not have it yet, so that the newer registry revision must be fetched first.
    #[must_use]
    pub fn new(layouts: Arc<Layouts>, layout: LayoutNumber) -> Option<Self> {
        let slots = layouts.schema().slots_of(layout)?.len();
        Some(Self {
            keys: layouts.schema().key_types(),
            layouts,
            slots,
        })
    }

    /// Reads a record: begins a row in the writer, which is of the same layouts, and leaves it to the caller to finish or abandon it. Values that their type cannot
    /// hold are errors.
    ///
    /// # Errors
    /// When the bytes are no such record; the row is then abandoned.
    pub fn decode(&self, record: &[u8], writer: &mut RowsWriter) -> Result<AvroRow, AvroError> {
        writer.begin();
        let read = self.read(&mut Input(record), writer);
        if read.is_err() {
            writer.abandon();
        }
        read
    }

    fn read(&self, input: &mut Input<'_>, writer: &mut RowsWriter) -> Result<AvroRow, AvroError> {
        for (index, key_type) in self.keys.iter().enumerate() {
            let name = || self.layouts.schema().keys[index].name.as_str().into();
            match key_type {
                KeyType::Bool => append::bool(writer.key(), input.bool()?),
                KeyType::Int32 | KeyType::Date => {
                    append::i32(writer.key(), input.int()?.ok_or_else(|| AvroError::OutOfRange(name()))?)
                }
                KeyType::Int64 | KeyType::Timestamp => append::i64(writer.key(), input.long()?),
                KeyType::String => append::bytes(writer.key(), input.str()?.as_bytes()),
                KeyType::Binary => append::bytes(writer.key(), input.bytes()?),
            }
        }
        check_length(writer.current_key())?;
        let event_time = Timestamp::from_micros(input.long()?);
        let ingest_time = if input.has_value()? {
            Some(Timestamp::from_micros(input.long()?))
        } else {
            None
        };
        for slot in 0..self.slots {
            if input.has_value()? {
                self.value(input, writer, slot)?;
            }
        }
        let deleted = input.bool()?;
        if !input.0.is_empty() {
            return Err(AvroError::Long);
        }
        Ok(AvroRow {
            event_time,
            ingest_time,
            deleted,
        })
    }

    fn value(&self, input: &mut Input<'_>, writer: &mut RowsWriter, slot: usize) -> Result<(), AvroError> {
        let described = &self.layouts.slots()[slot];
        let name = || Box::from(described.name.as_str());
        let out_of_range = || AvroError::OutOfRange(name());
        match &described.data_type {
            DataType::Bool => writer.put_bool(slot, input.bool()?),
            DataType::Int32 | DataType::Date => writer.put_i32(slot, input.int()?.ok_or_else(out_of_range)?),
            DataType::Int64 | DataType::Timestamp => writer.put_i64(slot, input.long()?),
            DataType::Float32 => writer.put_f32(slot, f32::from_le_bytes(input.take()?)),
            DataType::Float64 => writer.put_f64(slot, f64::from_le_bytes(input.take()?)),
            DataType::String => writer.put_bytes(slot, input.str()?.as_bytes()),
            DataType::Binary => writer.put_bytes(slot, input.bytes()?),
            DataType::Decimal { precision, .. } => {
                writer.put_decimal(slot, input.decimal(*precision)?.ok_or_else(out_of_range)?);
            }
            DataType::Vector { length } => writer.put_content(slot, |heap| {
                let mut count = 0;
                while let Some(block) = input.block()? {
                    let content = block.checked_mul(4).and_then(|length| input.0.split_at_checked(length));
                    let (content, rest) = content.ok_or(AvroError::Short)?;
                    heap.extend_from_slice(content);
                    input.0 = rest;
                    count += block;
                }
                if count == *length as usize {
                    Ok(())
                } else {
                    Err(AvroError::Length(name()))
                }
            })?,
            DataType::List(element) => {
                let count = count_elements(&Input(input.0), element, &name)?;
                let mut list = writer.put_list(slot, element, count);
                while let Some(block) = input.block()? {
                    for _ in 0..block {
                        if input.has_value()? {
                            push(input, &mut list, element, &name)?;
                        } else {
                            list.push_null();
                        }
                    }
                }
                list.finish();
            }
        }
        Ok(())
    }
}

fn push(
    input: &mut Input<'_>,
    list: &mut ListWriter<'_>,
    element: &DataType,
    name: &impl Fn() -> Box<str>,
) -> Result<(), AvroError> {
    let out_of_range = || AvroError::OutOfRange(name());
    match element {
        DataType::Bool => list.push_bool(input.bool()?),
        DataType::Int32 | DataType::Date => list.push_i32(input.int()?.ok_or_else(out_of_range)?),
        DataType::Int64 | DataType::Timestamp => list.push_i64(input.long()?),
        DataType::Float32 => list.push_f32(f32::from_le_bytes(input.take()?)),
        DataType::Float64 => list.push_f64(f64::from_le_bytes(input.take()?)),
        DataType::String => list.push_bytes(input.str()?.as_bytes()),
        DataType::Binary => list.push_bytes(input.bytes()?),
        DataType::Decimal { precision, .. } => list.push_decimal(input.decimal(*precision)?.ok_or_else(out_of_range)?),
        // Lists hold scalars.
        DataType::List(_) | DataType::Vector { .. } => return Err(AvroError::List),
    }
    Ok(())
}

/// The elements of the array that begins here, found by reading ahead.
fn count_elements(input: &Input<'_>, element: &DataType, name: &impl Fn() -> Box<str>) -> Result<usize, AvroError> {
    let mut ahead = Input(input.0);
    let mut count = 0_usize;
    while let Some(block) = ahead.block()? {
        for _ in 0..block {
            if ahead.has_value()? {
                ahead.skip(element, name)?;
            }
        }
        count += block;
    }
    Ok(count)
}

impl<'a> Input<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], AvroError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(AvroError::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    fn bool(&mut self) -> Result<bool, AvroError> {
        match self.take()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(AvroError::Bool),
        }
    }

    fn long(&mut self) -> Result<i64, AvroError> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return Err(AvroError::Number);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(AvroError::Number)
    }

    /// `None` when it needs more than 32 bits.
    fn int(&mut self) -> Result<Option<i32>, AvroError> {
        Ok(i32::try_from(self.long()?).ok())
    }

    fn has_value(&mut self) -> Result<bool, AvroError> {
        match self.long()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(AvroError::Branch),
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8], AvroError> {
        let length = usize::try_from(self.long()?).map_err(|_| AvroError::Short)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(AvroError::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn str(&mut self) -> Result<&'a str, AvroError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| AvroError::Utf8)
    }

    /// `None` when it has more digits than it may.
    fn decimal(&mut self, precision: u8) -> Result<Option<i128>, AvroError> {
        let bytes = self.bytes()?;
        let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
        let sign = if negative { 0xFF } else { 0 };
        let extra = bytes.len().saturating_sub(16);
        if bytes[..extra].iter().any(|byte| *byte != sign) {
            return Ok(None);
        }
        let mut all = [sign; 16];
        let kept = &bytes[extra..];
        all[16 - kept.len()..].copy_from_slice(kept);
        let value = i128::from_be_bytes(all);
        let is_cut = (value < 0) != negative;
        Ok((!is_cut && crate::json::number::fits(value, precision)).then_some(value))
    }

    /// The number of elements of the next block of an array; `None` after the last.
    fn block(&mut self) -> Result<Option<usize>, AvroError> {
        let count = match self.long()? {
            0 => return Ok(None),
            negative if negative < 0 => {
                // A block may tell its size in bytes, for those who skip it.
                self.long()?;
                negative.checked_neg().ok_or(AvroError::Number)?
            }
            count => count,
        };
        // Every element takes at least a byte.
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.0.len())
            .map(Some)
            .ok_or(AvroError::List)
    }

    fn skip(&mut self, element: &DataType, name: &impl Fn() -> Box<str>) -> Result<(), AvroError> {
        match element {
            DataType::Bool => self.bool().map(drop),
            DataType::Int32 | DataType::Date => self.int()?.map(drop).ok_or_else(|| AvroError::OutOfRange(name())),
            DataType::Int64 | DataType::Timestamp => self.long().map(drop),
            DataType::Float32 => self.take::<4>().map(drop),
            DataType::Float64 => self.take::<8>().map(drop),
            DataType::String | DataType::Binary | DataType::Decimal { .. } => self.bytes().map(drop),
            DataType::List(_) | DataType::Vector { .. } => Err(AvroError::List),
        }
    }
}
