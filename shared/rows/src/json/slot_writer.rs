use forebay_model::DataType;

use super::write::{self, Int64As};
use crate::packed::{ListView, PackedError, RowView};

/// Writes the values of one slot as JSON straight from packed rows. What to do is decided once, when it is made.
#[derive(Debug, Clone)]
pub struct SlotWriter {
    slot: usize,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Bool,
    Int32,
    Int64(Int64As),
    Float32,
    Float64,
    String,
    Binary,
    Date,
    Timestamp,
    Decimal(u8),
    Vector(u32),
    List(DataType, Int64As),
}

impl SlotWriter {
    /// For the slot of this index and type.
    #[must_use]
    pub fn new(slot: usize, data_type: &DataType, int64: Int64As) -> Self {
        let kind = match data_type {
            DataType::Bool => Kind::Bool,
            DataType::Int32 => Kind::Int32,
            DataType::Int64 => Kind::Int64(int64),
            DataType::Float32 => Kind::Float32,
            DataType::Float64 => Kind::Float64,
            DataType::String => Kind::String,
            DataType::Binary => Kind::Binary,
            DataType::Date => Kind::Date,
            DataType::Timestamp => Kind::Timestamp,
            DataType::Decimal { scale, .. } => Kind::Decimal(*scale),
            DataType::Vector { length } => Kind::Vector(*length),
            DataType::List(element) => Kind::List((**element).clone(), int64),
        };
        Self { slot, kind }
    }

    /// The index of the slot in its schema.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// Appends the slot's value, `null` when it has none, and tells whether it has one.
    ///
    /// # Errors
    /// When the row is corrupt; `out` may then end in the middle of a value.
    pub fn write(&self, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<bool, PackedError> {
        let slot = self.slot;
        if !row.is_present(slot) {
            write::null(out);
            return Ok(false);
        }
        match &self.kind {
            Kind::Float64 => write::f64(out, row.f64(slot)),
            Kind::Int64(int64) => write::i64_as(out, row.i64(slot), *int64),
            Kind::Float32 => write::f32(out, row.f32(slot)),
            Kind::Int32 => write::i32(out, row.i32(slot)),
            Kind::Bool => write::bool(out, row.bool(slot)),
            Kind::String => write::string(out, row.str(slot)?),
            Kind::Binary => write::binary(out, row.bytes(slot)?),
            Kind::Date => write::date(out, row.i32(slot)),
            Kind::Timestamp => write::timestamp(out, row.i64(slot)),
            Kind::Decimal(scale) => write::decimal(out, row.decimal(slot), *scale),
            Kind::Vector(length) => {
                out.push(b'[');
                for (index, element) in row.vector(slot, *length)?.enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write::f32(out, element);
                }
                out.push(b']');
            }
            Kind::List(element, int64) => {
                let list = ListView::open(row.bytes(slot)?, element)?;
                out.push(b'[');
                for index in 0..list.len() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_element(&list, index, element, *int64, out)?;
                }
                out.push(b']');
            }
        }
        Ok(true)
    }
}

fn write_element(
    list: &ListView<'_>,
    index: usize,
    element: &DataType,
    int64: Int64As,
    out: &mut Vec<u8>,
) -> Result<(), PackedError> {
    if !list.is_present(index) {
        write::null(out);
        return Ok(());
    }
    match element {
        DataType::Bool => write::bool(out, list.bool(index)),
        DataType::Int32 => write::i32(out, list.i32(index)),
        DataType::Int64 => write::i64_as(out, list.i64(index), int64),
        DataType::Float32 => write::f32(out, list.f32(index)),
        DataType::Float64 => write::f64(out, list.f64(index)),
        DataType::String => write::string(out, list.str(index)?),
        DataType::Binary => write::binary(out, list.bytes(index)?),
        DataType::Date => write::date(out, list.i32(index)),
        DataType::Timestamp => write::timestamp(out, list.i64(index)),
        DataType::Decimal { scale, .. } => write::decimal(out, list.decimal(index), *scale),
        DataType::List(_) | DataType::Vector { .. } => return Err(PackedError::Corrupt("a list holds lists")),
    }
    Ok(())
}
