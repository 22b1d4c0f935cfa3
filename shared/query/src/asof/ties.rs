//! Rows of one key with equal event time and sequence.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::interleave;
use arrow::datatypes::Schema;
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result;

use super::candidates::{TiedVersion, Undecided};
use super::exec::HistoryRoles;
use super::kept::AllKept;

/// The versions whose rows differ in what is asked for. The same row twice is one row, and rows that
/// differ elsewhere give the same answer, so neither needs a hash.
pub(super) fn unsettled(undecided: &[Undecided], kept: &AllKept, roles: &HistoryRoles) -> Result<HashSet<TiedVersion>> {
    if undecided.is_empty() {
        return Ok(HashSet::new());
    }
    let columns: Vec<usize> = roles
        .features
        .iter()
        .map(|(column, _)| *column)
        .chain(roles.deleted)
        .collect();
    if columns.is_empty() {
        return Ok(HashSet::new());
    }
    let side = |side: usize| {
        let rows: Vec<_> = undecided.iter().map(|pair| kept.locate(pair.rows[side])).collect();
        columns
            .iter()
            .map(|&column| {
                let arrays: Vec<&dyn Array> = kept.chunks.iter().map(|chunk| chunk.column(column).as_ref()).collect();
                Ok(interleave(&arrays, &rows)?)
            })
            .collect::<Result<Vec<ArrayRef>>>()
    };
    let (left, right) = (side(0)?, side(1)?);
    let fields = left
        .iter()
        .map(|column| SortField::new(column.data_type().clone()))
        .collect();
    let converter = RowConverter::new(fields)?;
    let (left, right) = (converter.convert_columns(&left)?, converter.convert_columns(&right)?);
    Ok(undecided
        .iter()
        .zip(left.iter().zip(&right))
        .filter(|(_, (left, right))| left != right)
        .map(|(pair, _)| pair.tied)
        .collect())
}

/// The history's columns of whole rows.
pub(super) fn project(whole: &RecordBatch, history: &Schema) -> Result<RecordBatch> {
    let columns = history
        .fields()
        .iter()
        .map(|field| Ok(whole.schema_ref().index_of(field.name())?))
        .collect::<Result<Vec<_>>>()?;
    Ok(whole.project(&columns)?)
}
