use forebay_model::DataType;

use super::{
    decimal_float,
    write::{self, Int64As},
};
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
        Ok(!self.write_column([Some(row)].into_iter(), out)?)
    }

    /// Appends the values of many rows, with commas between them: `null` where there is no row or the row has no value. Tells whether a row has none.
    ///
    /// # Errors
    /// When a row is corrupt; `out` may then end in the middle of a value.
    pub fn write_column<'r, 'd: 'r>(
        &self,
        rows: impl ExactSizeIterator<Item = Option<&'r RowView<'d>>>,
        out: &mut Vec<u8>,
    ) -> Result<bool, PackedError> {
        let slot = self.slot;
        match &self.kind {
            Kind::Float64 if rows.len() > FEW => Ok(self.write_floats(rows, out)),
            Kind::Float64 => self.each(rows, out, |row, out| {
                write::f64(out, row.f64(slot));
                Ok(())
            }),
            Kind::Int64(int64) => self.each(rows, out, |row, out| {
                write::i64_as(out, row.i64(slot), *int64);
                Ok(())
            }),
            Kind::Float32 => self.each(rows, out, |row, out| {
                write::f32(out, row.f32(slot));
                Ok(())
            }),
            Kind::Int32 => self.each(rows, out, |row, out| {
                write::i32(out, row.i32(slot));
                Ok(())
            }),
            Kind::Bool => self.each(rows, out, |row, out| {
                write::bool(out, row.bool(slot));
                Ok(())
            }),
            Kind::String => self.each(rows, out, |row, out| {
                write::string(out, row.str(slot)?);
                Ok(())
            }),
            Kind::Binary => self.each(rows, out, |row, out| {
                write::binary(out, row.bytes(slot)?);
                Ok(())
            }),
            Kind::Date => self.each(rows, out, |row, out| {
                write::date(out, row.i32(slot));
                Ok(())
            }),
            Kind::Timestamp => self.each(rows, out, |row, out| {
                write::timestamp(out, row.i64(slot));
                Ok(())
            }),
            Kind::Decimal(scale) => self.each(rows, out, |row, out| {
                write::decimal(out, row.decimal(slot), *scale);
                Ok(())
            }),
            Kind::Vector(length) => self.each(rows, out, |row, out| {
                out.push(b'[');
                for (index, element) in row.vector(slot, *length)?.enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write::f32(out, element);
                }
                out.push(b']');
                Ok(())
            }),
            Kind::List(element, int64) => self.each(rows, out, |row, out| {
                let list = ListView::open(row.bytes(slot)?, element)?;
                out.push(b'[');
                for index in 0..list.len() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_element(&list, index, element, *int64, out)?;
                }
                out.push(b']');
                Ok(())
            }),
        }
    }

    fn each<'r, 'd: 'r>(
        &self,
        rows: impl Iterator<Item = Option<&'r RowView<'d>>>,
        out: &mut Vec<u8>,
        write_value: impl Fn(&RowView<'d>, &mut Vec<u8>) -> Result<(), PackedError>,
    ) -> Result<bool, PackedError> {
        let mut nulls = false;
        for (index, row) in rows.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match row {
                Some(row) if row.is_present(self.slot) => write_value(row, out)?,
                row => {
                    nulls |= row.is_some();
                    write::null(out);
                }
            }
        }
        Ok(nulls)
    }

    /// Floats are gathered, and appended many at a time: appending so few bytes takes longer than making them.
    fn write_floats<'r, 'd: 'r>(&self, rows: impl Iterator<Item = Option<&'r RowView<'d>>>, out: &mut Vec<u8>) -> bool {
        let mut gathered = [0_u8; GATHERED];
        // The comma before the first value is left out.
        let (mut start, mut end) = (1, 0);
        let mut nulls = false;
        for row in rows {
            if GATHERED - end < 1 + decimal_float::ROOM {
                out.extend_from_slice(&gathered[start..end]);
                (start, end) = (0, 0);
            }
            gathered[end] = b',';
            end += 1;
            let Some(room) = gathered[end..].first_chunk_mut() else {
                break;
            };
            end += match row {
                Some(row) if row.is_present(self.slot) => {
                    let value = row.f64(self.slot);
                    decimal_float::text(value, room).unwrap_or_else(|| write::any_f64(value, room))
                }
                row => {
                    nulls |= row.is_some();
                    room[..4].copy_from_slice(b"null");
                    4
                }
            };
        }
        out.extend_from_slice(&gathered[start.min(end)..end]);
        nulls
    }
}

/// Bytes of floats that are appended at once.
const GATHERED: usize = 1024;

/// With so few floats gathering them does not pay.
const FEW: usize = 8;

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
