//! Sorting the rows of a file.

use arrow::{
    array::RecordBatch,
    compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch},
    datatypes::SchemaRef,
    error::ArrowError,
};

/// Ascending, nulls first; the order of equal rows is not kept.
pub(crate) const ORDER: SortOptions = SortOptions {
    descending: false,
    nulls_first: true,
};

/// All rows of the batches in one, sorted by the columns, of which those that are missing are passed over.
pub(crate) fn sorted(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    columns: &[String],
) -> Result<RecordBatch, ArrowError> {
    let rows = concat_batches(schema, batches)?;
    let columns: Vec<SortColumn> = columns
        .iter()
        .filter_map(|column| {
            Some(SortColumn {
                values: rows.column_by_name(column)?.clone(),
                options: Some(ORDER),
            })
        })
        .collect();
    if columns.is_empty() {
        return Ok(rows);
    }
    take_record_batch(&rows, &lexsort_to_indices(&columns, None)?)
}
