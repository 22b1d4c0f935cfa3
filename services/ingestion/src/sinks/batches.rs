//! Rows of the log as record batches of the group's table.

use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay_model::GroupSchema;
use forebay_rows::{
    Layouts, PackedError, RowView,
    arrow_types::{Column, Flavor},
    to_arrow::{self, ToArrowError},
};
use forebay_storage::{LoggedRow, StorageError};

/// Rows in a batch.
const ROWS: usize = 8_192;

/// All columns of the rows, in batches. Blocks for about as long as it takes to copy them.
pub(crate) fn record_batches(schema: &Arc<GroupSchema>, rows: &[LoggedRow]) -> Result<Vec<RecordBatch>, StorageError> {
    let layouts = Layouts::new(schema.clone());
    let columns = Column::all(schema);
    rows.chunks(ROWS)
        .map(|rows| {
            let keys: Vec<&[u8]> = rows.iter().map(|row| row.key.as_ref()).collect();
            let views: Vec<RowView<'_>> = rows
                .iter()
                .map(|row| layouts.open(&row.row))
                .collect::<Result<_, _>>()
                .map_err(|error| of_packed(schema, &error))?;
            to_arrow::record_batch(schema, &columns, Flavor::Delta, &keys, &views).map_err(|error| match error {
                ToArrowError::Packed(error) => of_packed(schema, &error),
                error => StorageError::corrupt("row log", error.to_string()),
            })
        })
        .collect()
}

/// What a row that cannot be read means for a sink.
pub(crate) fn of_packed(schema: &GroupSchema, error: &PackedError) -> StorageError {
    match error {
        PackedError::NewerLayout { found, known } => StorageError::NewerLayout {
            group: schema.name.clone(),
            found: *found,
            known: *known,
        },
        error => StorageError::corrupt("row log", format!("a row of {}: {error}", schema.name)),
    }
}
