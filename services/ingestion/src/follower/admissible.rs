//! Rows that came as commits, as the online store takes them.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Int64Type, TimestampMicrosecondType},
    error::ArrowError,
};
use forebay_model::{GroupSchema, Sequence, Timestamp, admission};
use forebay_rows::{
    Layouts,
    arrow_types::{INGEST_TIME, SEQUENCE},
    from_arrow,
    json::RowOptions,
};
use forebay_storage::{OnlineRow, StorageError};

/// The rows of a batch that may be taken in, and how many may not.
pub(crate) struct Admissible {
    pub(crate) rows: Vec<OnlineRow>,
    pub(crate) left_out: u64,
    /// The greatest event time among the rows.
    pub(crate) newest: Option<Timestamp>,
}

const AS_COMMITTED: RowOptions = RowOptions {
    missing_as_null: true,
    event_time: None,
};

/// Packs the rows of a batch with the columns of the group's table. Which of them are admissible depends on the rows alone.
pub(crate) fn admissible(
    schema: &Arc<GroupSchema>,
    layouts: &Arc<Layouts>,
    batch: &RecordBatch,
) -> Result<Admissible, StorageError> {
    let column = |name| batch.column_by_name(name).ok_or_else(|| malformed(schema, name));
    let ingest = column(INGEST_TIME)?
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(|| malformed(schema, INGEST_TIME))?;
    let sequence = column(SEQUENCE)?
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(|| malformed(schema, SEQUENCE))?;
    let read = from_arrow::read(
        layouts,
        &content(schema, batch).map_err(|error| unreadable(schema, &error))?,
        AS_COMMITTED,
    );
    let mut rows = read.rows;
    let mut kept = Vec::with_capacity(rows.len());
    let mut newest = None;
    for (index, row) in read.indexes.iter().copied().enumerate() {
        let event_time = rows.event_time(index);
        let ingest_time = ingest.is_valid(row).then(|| Timestamp::from_micros(ingest.value(row)));
        let given = sequence.is_valid(row).then(|| sequence.value(row));
        let effective = ingest_time.and_then(|time| Sequence::of_commit(given, time));
        let admitted = admission::of_stored(Some(event_time), ingest_time, given).is_ok();
        match (admitted, ingest_time, effective) {
            (true, Some(ingest_time), Some(sequence)) => {
                rows.set_times(index, event_time, ingest_time);
                rows.set_sequence(index, sequence);
                newest = newest.max(Some(event_time));
                kept.push(true);
            }
            _ => kept.push(false),
        }
    }
    rows.retain(|index| kept[index]);
    Ok(Admissible {
        left_out: (batch.num_rows() - rows.len()) as u64,
        newest,
        rows: rows.freeze().iter().map(|(key, row)| OnlineRow { key, row }).collect(),
    })
}

/// The batch without times and sequence of the commit, and without what was in features that are hidden.
fn content(schema: &GroupSchema, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let is_hidden = |name: &str| {
        schema
            .slots
            .iter()
            .any(|slot| slot.hidden && slot.name.as_str() == name)
    };
    let columns: Vec<usize> = batch
        .schema_ref()
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| ![INGEST_TIME, SEQUENCE].contains(&field.name().as_str()) && !is_hidden(field.name()))
        .map(|(index, _)| index)
        .collect();
    batch.project(&columns)
}

fn malformed(schema: &GroupSchema, column: &str) -> StorageError {
    StorageError::corrupt(
        "offline store",
        format!("rows of {} came without a fitting column {column}", schema.name),
    )
}

fn unreadable(schema: &GroupSchema, error: &ArrowError) -> StorageError {
    StorageError::corrupt("offline store", format!("rows of {}: {error}", schema.name))
}
