//! Packed rows from and to [`Value`]s, one at a time: for single rows, tests and oracles. Batch paths use the other codecs.

use forebay_model::{DataType, EntityKey, KeyError, KeyType, Value};

use crate::packed::{ListView, ListWriter, PackedError, RowView, RowsWriter};

/// A value is not of the type that it was given for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a value is not of type {0}")]
pub struct WrongType(DataType);

/// The value of a slot.
///
/// # Errors
/// When the row is corrupt.
pub fn read(row: &RowView<'_>, slot: usize) -> Result<Value, PackedError> {
    if !row.is_present(slot) {
        return Ok(Value::Null);
    }
    Ok(match &row.layouts().slots()[slot].data_type {
        DataType::Bool => Value::Bool(row.bool(slot)),
        DataType::Int32 => Value::Int32(row.i32(slot)),
        DataType::Date => Value::Date(row.i32(slot)),
        DataType::Int64 => Value::Int64(row.i64(slot)),
        DataType::Timestamp => Value::Timestamp(row.i64(slot)),
        DataType::Float32 => Value::Float32(row.f32(slot)),
        DataType::Float64 => Value::Float64(row.f64(slot)),
        DataType::Decimal { .. } => Value::Decimal(row.decimal(slot)),
        DataType::String => Value::String(row.str(slot)?.to_owned()),
        DataType::Binary => Value::Binary(row.bytes(slot)?.to_vec()),
        DataType::Vector { length } => Value::Vector(row.vector(slot, *length)?.collect()),
        DataType::List(element) => {
            let list = row.list(slot, element)?;
            Value::List(
                (0..list.len())
                    .map(|i| read_element(&list, i, element))
                    .collect::<Result<_, _>>()?,
            )
        }
    })
}

fn read_element(list: &ListView<'_>, index: usize, element: &DataType) -> Result<Value, PackedError> {
    if !list.is_present(index) {
        return Ok(Value::Null);
    }
    Ok(match element {
        DataType::Bool => Value::Bool(list.bool(index)),
        DataType::Int32 => Value::Int32(list.i32(index)),
        DataType::Date => Value::Date(list.i32(index)),
        DataType::Int64 => Value::Int64(list.i64(index)),
        DataType::Timestamp => Value::Timestamp(list.i64(index)),
        DataType::Float32 => Value::Float32(list.f32(index)),
        DataType::Float64 => Value::Float64(list.f64(index)),
        DataType::Decimal { .. } => Value::Decimal(list.decimal(index)),
        DataType::String => Value::String(list.str(index)?.to_owned()),
        DataType::Binary => Value::Binary(list.bytes(index)?.to_vec()),
        DataType::List(_) | DataType::Vector { .. } => return Err(PackedError::Corrupt("a list holds lists")),
    })
}

/// All slots of a row, hidden ones included.
///
/// # Errors
/// When the row is corrupt.
pub fn read_all(row: &RowView<'_>) -> Result<Vec<Value>, PackedError> {
    (0..row.layouts().slots().len()).map(|slot| read(row, slot)).collect()
}

/// Sets a slot of the row that the writer has begun.
///
/// # Errors
/// [`WrongType`]; the slot is then left null.
pub fn write(writer: &mut RowsWriter, slot: usize, value: &Value) -> Result<(), WrongType> {
    let layouts = writer.layouts().clone();
    let data_type = &layouts.slots()[slot].data_type;
    match (data_type, value) {
        (_, Value::Null) => {}
        (DataType::Bool, Value::Bool(v)) => writer.put_bool(slot, *v),
        (DataType::Int32, Value::Int32(v)) | (DataType::Date, Value::Date(v)) => writer.put_i32(slot, *v),
        (DataType::Int64, Value::Int64(v)) | (DataType::Timestamp, Value::Timestamp(v)) => writer.put_i64(slot, *v),
        (DataType::Float32, Value::Float32(v)) => writer.put_f32(slot, *v),
        (DataType::Float64, Value::Float64(v)) => writer.put_f64(slot, *v),
        (DataType::Decimal { .. }, Value::Decimal(v)) => writer.put_decimal(slot, *v),
        (DataType::String, Value::String(v)) => writer.put_bytes(slot, v.as_bytes()),
        (DataType::Binary, Value::Binary(v)) => writer.put_bytes(slot, v),
        (DataType::Vector { length }, Value::Vector(v)) if v.len() == *length as usize => {
            writer.put_content(slot, |heap| {
                v.iter().for_each(|e| heap.extend_from_slice(&e.to_le_bytes()))
            });
        }
        (DataType::List(element), Value::List(v)) if v.iter().all(|value| is_of(value, element)) => {
            let mut list = writer.put_list(slot, element, v.len());
            v.iter().for_each(|value| push_element(&mut list, value));
            list.finish();
        }
        _ => return Err(WrongType(data_type.clone())),
    }
    Ok(())
}

fn is_of(value: &Value, element: &DataType) -> bool {
    matches!(
        (element, value),
        (_, Value::Null)
            | (DataType::Bool, Value::Bool(_))
            | (DataType::Int32, Value::Int32(_))
            | (DataType::Date, Value::Date(_))
            | (DataType::Int64, Value::Int64(_))
            | (DataType::Timestamp, Value::Timestamp(_))
            | (DataType::Float32, Value::Float32(_))
            | (DataType::Float64, Value::Float64(_))
            | (DataType::Decimal { .. }, Value::Decimal(_))
            | (DataType::String, Value::String(_))
            | (DataType::Binary, Value::Binary(_))
    )
}

fn push_element(list: &mut ListWriter<'_>, value: &Value) {
    match value {
        Value::Null | Value::List(_) | Value::Vector(_) => list.push_null(),
        Value::Bool(v) => list.push_bool(*v),
        Value::Int32(v) | Value::Date(v) => list.push_i32(*v),
        Value::Int64(v) | Value::Timestamp(v) => list.push_i64(*v),
        Value::Float32(v) => list.push_f32(*v),
        Value::Float64(v) => list.push_f64(*v),
        Value::Decimal(v) => list.push_decimal(*v),
        Value::String(v) => list.push_bytes(v.as_bytes()),
        Value::Binary(v) => list.push_bytes(v),
    }
}

/// Appends a whole key to the row that the writer has begun.
///
/// # Errors
/// When the values are not those of a key of these types.
pub fn write_key(writer: &mut RowsWriter, types: &[KeyType], values: &[Value]) -> Result<(), KeyError> {
    let key = EntityKey::encode(types, values)?;
    writer.key().extend_from_slice(key.as_bytes());
    Ok(())
}
