use std::sync::Arc;

use forebay_model::{DataType, GroupSchema, canonical::CanonicalHasher};

use super::{Layouts, PackedError, RowHead, RowView};

/// The stable hash of a row's content; see [`forebay_model::canonical`].
///
/// # Errors
/// When the row is corrupt.
pub fn canonical_hash(row: &RowView<'_>) -> Result<u64, PackedError> {
    let mut hasher = CanonicalHasher::new(row.head().deleted);
    let layouts = row.layouts();
    for slot in layouts.by_name() {
        if !row.is_present(slot) {
            continue;
        }
        let described = &layouts.slots()[slot];
        hasher.feature(&described.name);
        match &described.data_type {
            DataType::Bool => hasher.bool(row.bool(slot)),
            DataType::Int32 | DataType::Date => hasher.integer(row.i32(slot).into()),
            DataType::Int64 | DataType::Timestamp => hasher.integer(row.i64(slot)),
            DataType::Float32 => hasher.float(row.f32(slot).into()),
            DataType::Float64 => hasher.float(row.f64(slot)),
            DataType::String | DataType::Binary => hasher.bytes(row.bytes(slot)?),
            DataType::Decimal { .. } => hasher.decimal(row.decimal(slot)),
            DataType::Vector { length } => {
                let elements = row.vector(slot, *length)?;
                hasher.list(elements.len());
                elements.for_each(|element| hasher.float(element.into()));
            }
            DataType::List(element) => {
                let list = row.list(slot, element)?;
                hasher.list(list.len());
                for index in 0..list.len() {
                    if !list.is_present(index) {
                        hasher.null();
                        continue;
                    }
                    match &**element {
                        DataType::Bool => hasher.bool(list.bool(index)),
                        DataType::Int32 | DataType::Date => hasher.integer(list.i32(index).into()),
                        DataType::Int64 | DataType::Timestamp => hasher.integer(list.i64(index)),
                        DataType::Float32 => hasher.float(list.f32(index).into()),
                        DataType::Float64 => hasher.float(list.f64(index)),
                        DataType::String | DataType::Binary => hasher.bytes(list.bytes(index)?),
                        DataType::Decimal { .. } => hasher.decimal(list.decimal(index)),
                        DataType::List(_) | DataType::Vector { .. } => {
                            return Err(PackedError::Corrupt("a list holds lists"));
                        }
                    }
                }
            }
        }
    }
    Ok(hasher.finish())
}

/// Whether packed row `new` replaces `current` of the same key. Features are looked at only when event time and sequence are equal.
///
/// # Errors
/// When a row is corrupt or, in the case of equal versions, of a layout that the schema does not know.
pub fn wins(schema: &Arc<GroupSchema>, new: &[u8], current: &[u8]) -> Result<bool, PackedError> {
    let (new_version, current_version) = (RowHead::read(new)?.version(), RowHead::read(current)?.version());
    if new_version != current_version {
        return Ok(new_version > current_version);
    }
    if new == current {
        return Ok(false);
    }
    let layouts = Layouts::new(schema.clone());
    let new_hash = canonical_hash(&layouts.open(new)?)?;
    let current_hash = canonical_hash(&layouts.open(current)?)?;
    Ok(new_version.replaces(current_version, || new_hash, || current_hash))
}
