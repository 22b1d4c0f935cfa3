//! Packed rows to Arrow, column by column.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeListBuilder,
        Float32Builder, Float64Builder, Int32Builder, Int64Builder, ListBuilder, RecordBatch, RecordBatchOptions,
        StringBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::Field,
    error::ArrowError,
};
use forebay_model::{DataType, GroupSchema, KeyType};

use crate::{
    arrow_types::{Column, Flavor, arrow_schema, arrow_type, timestamp_type},
    packed::{ListView, PackedError, RowView},
};

/// Why rows cannot be written as Arrow.
#[derive(Debug, thiserror::Error)]
pub enum ToArrowError {
    #[error(transparent)]
    Packed(#[from] PackedError),
    #[error("an encoded key is corrupt")]
    Key,
    #[error("Arrow refused the columns: {0}")]
    Arrow(#[from] ArrowError),
}

/// Rows as a record batch of some columns. `keys` and `rows` are parallel; `keys` may be empty when no key column is asked for.
///
/// # Errors
/// When a row or key is corrupt.
pub fn record_batch(
    schema: &GroupSchema,
    columns: &[Column],
    flavor: Flavor,
    keys: &[&[u8]],
    rows: &[RowView<'_>],
) -> Result<RecordBatch, ToArrowError> {
    let mut key_arrays = if columns.iter().any(|column| matches!(column, Column::Key(_))) {
        key_columns(&schema.key_types(), keys)?
    } else {
        Vec::new()
    };
    let arrays = columns
        .iter()
        .map(|column| {
            Ok(match *column {
                Column::Key(index) => key_arrays[index].clone(),
                Column::EventTime => timestamps(rows.iter().map(|row| row.head().event_time.micros())),
                Column::IngestTime => timestamps(rows.iter().map(|row| row.head().ingest_time.micros())),
                Column::Sequence => {
                    let mut builder = Int64Builder::with_capacity(rows.len());
                    rows.iter()
                        .for_each(|row| builder.append_value(row.head().sequence.raw()));
                    Arc::new(builder.finish())
                }
                Column::Slot(slot) => slot_column(&schema.slots[slot].data_type, flavor, slot, rows.iter().map(Some))?,
                Column::Deleted => {
                    let mut builder = BooleanBuilder::with_capacity(rows.len());
                    rows.iter().for_each(|row| builder.append_value(row.head().deleted));
                    Arc::new(builder.finish())
                }
            })
        })
        .collect::<Result<Vec<ArrayRef>, ToArrowError>>()?;
    key_arrays.clear();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(
        arrow_schema(schema, columns, flavor),
        arrays,
        &options,
    )?)
}

fn timestamps(micros: impl Iterator<Item = i64>) -> ArrayRef {
    let mut builder = TimestampMicrosecondBuilder::with_capacity(micros.size_hint().0).with_data_type(timestamp_type());
    micros.for_each(|micros| builder.append_value(micros));
    Arc::new(builder.finish())
}

/// One slot of many rows; null where there is no row. `data_type` is the slot's.
///
/// # Errors
/// When a row is corrupt.
pub fn slot_column<'a, 'b: 'a>(
    data_type: &'b DataType,
    flavor: Flavor,
    slot: usize,
    rows: impl ExactSizeIterator<Item = Option<&'a RowView<'b>>>,
) -> Result<ArrayRef, PackedError> {
    let present = |row: Option<&'a RowView<'b>>| row.filter(|row| row.is_present(slot));
    macro_rules! fixed {
        ($builder:expr, $get:ident) => {{
            let mut builder = $builder;
            rows.for_each(|row| builder.append_option(present(row).map(|row| row.$get(slot))));
            Arc::new(builder.finish())
        }};
    }
    let count = rows.len();
    Ok(match data_type {
        DataType::Bool => fixed!(BooleanBuilder::with_capacity(count), bool),
        DataType::Int32 => fixed!(Int32Builder::with_capacity(count), i32),
        DataType::Date => fixed!(Date32Builder::with_capacity(count), i32),
        DataType::Int64 => fixed!(Int64Builder::with_capacity(count), i64),
        DataType::Timestamp => fixed!(
            TimestampMicrosecondBuilder::with_capacity(count).with_data_type(timestamp_type()),
            i64
        ),
        DataType::Float32 => fixed!(Float32Builder::with_capacity(count), f32),
        DataType::Float64 => fixed!(Float64Builder::with_capacity(count), f64),
        DataType::Decimal { .. } => fixed!(
            Decimal128Builder::with_capacity(count).with_data_type(arrow_type(data_type, flavor)),
            decimal
        ),
        DataType::String => {
            let mut builder = StringBuilder::with_capacity(count, count * 16);
            for row in rows {
                builder.append_option(present(row).map(|row| row.str(slot)).transpose()?);
            }
            Arc::new(builder.finish())
        }
        DataType::Binary => {
            let mut builder = BinaryBuilder::with_capacity(count, count * 16);
            for row in rows {
                builder.append_option(present(row).map(|row| row.bytes(slot)).transpose()?);
            }
            Arc::new(builder.finish())
        }
        DataType::Vector { length } => {
            let field = Field::new("element", arrow_type(&DataType::Float32, flavor), true);
            let values = Float32Builder::with_capacity(count * *length as usize);
            match flavor {
                Flavor::Arrow => {
                    let mut builder =
                        FixedSizeListBuilder::with_capacity(values, length.cast_signed(), count).with_field(field);
                    for row in rows {
                        match present(row) {
                            Some(row) => row
                                .vector(slot, *length)?
                                .for_each(|e| builder.values().append_value(e)),
                            None => builder.values().append_nulls(*length as usize),
                        }
                        builder.append(present(row).is_some());
                    }
                    Arc::new(builder.finish())
                }
                Flavor::Delta => {
                    let mut builder = ListBuilder::with_capacity(values, count).with_field(field);
                    for row in rows {
                        if let Some(row) = present(row) {
                            row.vector(slot, *length)?
                                .for_each(|e| builder.values().append_value(e));
                        }
                        builder.append(present(row).is_some());
                    }
                    Arc::new(builder.finish())
                }
            }
        }
        DataType::List(element) => list_column(element, flavor, slot, rows.map(present))?,
    })
}

fn list_column<'a, 'b: 'a>(
    element: &'b DataType,
    flavor: Flavor,
    slot: usize,
    rows: impl ExactSizeIterator<Item = Option<&'a RowView<'b>>>,
) -> Result<ArrayRef, PackedError> {
    let field = Field::new("element", arrow_type(element, flavor), true);
    macro_rules! lists {
        ($builder:expr, |$list:ident, $index:ident| $value:expr) => {{
            let mut builder = ListBuilder::with_capacity($builder, rows.len()).with_field(field);
            for row in rows {
                if let Some(row) = row {
                    let $list: ListView<'_> = row.list(slot, element)?;
                    for $index in 0..$list.len() {
                        let value = if $list.is_present($index) { Some($value) } else { None };
                        builder.values().append_option(value);
                    }
                }
                builder.append(row.is_some());
            }
            Arc::new(builder.finish())
        }};
    }
    Ok(match element {
        DataType::Bool => lists!(BooleanBuilder::new(), |list, index| list.bool(index)),
        DataType::Int32 => lists!(Int32Builder::new(), |list, index| list.i32(index)),
        DataType::Date => lists!(Date32Builder::new(), |list, index| list.i32(index)),
        DataType::Int64 => lists!(Int64Builder::new(), |list, index| list.i64(index)),
        DataType::Timestamp => lists!(
            TimestampMicrosecondBuilder::new().with_data_type(timestamp_type()),
            |list, index| list.i64(index)
        ),
        DataType::Float32 => lists!(Float32Builder::new(), |list, index| list.f32(index)),
        DataType::Float64 => lists!(Float64Builder::new(), |list, index| list.f64(index)),
        DataType::Decimal { .. } => lists!(
            Decimal128Builder::new().with_data_type(arrow_type(element, flavor)),
            |list, index| list.decimal(index)
        ),
        DataType::String => lists!(StringBuilder::new(), |list, index| list.str(index)?),
        DataType::Binary => lists!(BinaryBuilder::new(), |list, index| list.bytes(index)?),
        DataType::List(_) | DataType::Vector { .. } => return Err(PackedError::Corrupt("a list holds lists")),
    })
}

/// Encoded keys as Arrow columns, in the order of the key's columns.
///
/// # Errors
/// [`ToArrowError::Key`] when a key was not written for these types.
pub fn key_columns(types: &[KeyType], keys: &[&[u8]]) -> Result<Vec<ArrayRef>, ToArrowError> {
    let mut rests: Vec<&[u8]> = keys.to_vec();
    let mut scratch = Vec::new();
    let columns = types
        .iter()
        .map(|key_type| -> Result<ArrayRef, ToArrowError> {
            let count = rests.len();
            macro_rules! fixed {
                ($builder:expr, |$bytes:ident: $n:literal| $value:expr) => {{
                    let mut builder = $builder;
                    for rest in &mut rests {
                        let ($bytes, tail) = rest.split_first_chunk::<$n>().ok_or(ToArrowError::Key)?;
                        builder.append_value($value);
                        *rest = tail;
                    }
                    Ok(Arc::new(builder.finish()))
                }};
            }
            match key_type {
                KeyType::Bool => fixed!(BooleanBuilder::with_capacity(count), |b: 1| b[0] != 0),
                KeyType::Int32 => fixed!(Int32Builder::with_capacity(count), |b: 4| i32_of(*b)),
                KeyType::Date => fixed!(Date32Builder::with_capacity(count), |b: 4| i32_of(*b)),
                KeyType::Int64 => fixed!(Int64Builder::with_capacity(count), |b: 8| i64_of(*b)),
                KeyType::Timestamp => fixed!(
                    TimestampMicrosecondBuilder::with_capacity(count).with_data_type(timestamp_type()),
                    |b: 8| i64_of(*b)
                ),
                KeyType::String => {
                    let mut builder = StringBuilder::with_capacity(count, count * 16);
                    for rest in &mut rests {
                        take_content(rest, &mut scratch).ok_or(ToArrowError::Key)?;
                        builder.append_value(std::str::from_utf8(&scratch).map_err(|_| ToArrowError::Key)?);
                    }
                    Ok(Arc::new(builder.finish()))
                }
                KeyType::Binary => {
                    let mut builder = BinaryBuilder::with_capacity(count, count * 16);
                    for rest in &mut rests {
                        take_content(rest, &mut scratch).ok_or(ToArrowError::Key)?;
                        builder.append_value(&scratch);
                    }
                    Ok(Arc::new(builder.finish()))
                }
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    if rests.iter().all(|rest| rest.is_empty()) {
        Ok(columns)
    } else {
        Err(ToArrowError::Key)
    }
}

pub(crate) fn i32_of(bytes: [u8; 4]) -> i32 {
    (u32::from_be_bytes(bytes) ^ (1 << 31)).cast_signed()
}

pub(crate) fn i64_of(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed()
}

/// Takes a string or binary column off an encoded key; `None` when there is none.
pub(crate) fn take_content(key: &mut &[u8], content: &mut Vec<u8>) -> Option<()> {
    content.clear();
    loop {
        let zero = key.iter().position(|byte| *byte == 0)?;
        content.extend_from_slice(&key[..zero]);
        let mark = *key.get(zero + 1)?;
        *key = &key[zero + 2..];
        match mark {
            0xFF => content.push(0),
            1 => return Some(()),
            _ => return None,
        }
    }
}
