//! Answers as an Arrow IPC stream: a row for each entity, a column for each name, and beside a feature's column `<name>__status` and
//! `<name>__event_timestamp`.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray, UInt32Array},
    compute::take,
    datatypes::{Field, Schema},
    error::ArrowError,
    ipc::writer::StreamWriter,
};
use forebay_model::Status;
use forebay_rows::{
    PackedError,
    to_arrow::{ToArrowError, key_columns},
};

use crate::{answer::Answer, columns::Sent, request::Include};

/// Why an answer cannot be written as Arrow.
#[derive(Debug, thiserror::Error)]
pub enum ArrowAnswerError {
    #[error(transparent)]
    Packed(#[from] PackedError),
    #[error(transparent)]
    Key(#[from] ToArrowError),
    #[error("Arrow refused the answer's columns: {0}")]
    Arrow(#[from] ArrowError),
}

/// The whole stream.
///
/// # Errors
/// When a row is corrupt.
pub fn write(answer: &Answer<'_>, include: Include) -> Result<Vec<u8>, ArrowAnswerError> {
    let entities = answer.sent.entities;
    let mut columns = Columns {
        fields: Vec::new(),
        arrays: Vec::new(),
        include,
    };
    for (key, column) in answer.plan.keys.iter().zip(&answer.sent.keys) {
        // Nulls are not encoded, so the others are decoded and put in their places.
        let mut present = Vec::new();
        let places = (0..entities).map(|entity| {
            let key = column.get(Sent::place(column.len(), entity))?;
            present.push(key);
            u32::try_from(present.len() - 1).ok()
        });
        let places: UInt32Array = places.collect();
        for keys in key_columns(&[key.key_type], &present)? {
            columns.value(key.name.as_str(), &take(&keys, &places, None)?);
        }
    }
    for (index, feature) in answer.plan.features.iter().enumerate() {
        let cells = answer.cells(index);
        let null = |entity: usize| cells[entity].row.is_some_and(|row| !row.is_present(feature.slot));
        columns.value(&feature.name, &answer.feature(index)?);
        columns.statuses(&feature.name, entities, |entity| {
            if null(entity) {
                Status::NullValue
            } else {
                cells[entity].status
            }
        });
        if include.event_timestamps {
            let times = cells.iter().map(|cell| cell.event_time.map(|time| time.micros()));
            let times: TimestampMicrosecondArray = times.collect();
            columns.push(
                format!("{}__event_timestamp", feature.name),
                Arc::new(times.with_timezone("UTC")),
            );
        }
    }
    for (index, request) in answer.plan.request.iter().enumerate() {
        columns.value(request.name.as_str(), &answer.request_array(index)?);
    }
    for (expression, computed) in answer.plan.expressions.iter().zip(&answer.expressions) {
        columns.value(expression.name.as_str(), &computed.values);
        columns.statuses(expression.name.as_str(), entities, |entity| computed.status(entity));
    }
    let schema = Arc::new(Schema::new(columns.fields));
    let options = RecordBatchOptions::new().with_row_count(Some(entities));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns.arrays, &options)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
    include: Include,
}

impl Columns {
    fn push(&mut self, name: String, array: ArrayRef) {
        self.fields.push(Field::new(name, array.data_type().clone(), true));
        self.arrays.push(array);
    }

    fn value(&mut self, name: &str, array: &ArrayRef) {
        if self.include.values {
            self.push(name.to_owned(), Arc::clone(array));
        }
    }

    fn statuses(&mut self, name: &str, entities: usize, status_at: impl Fn(usize) -> Status) {
        if self.include.statuses {
            let statuses: StringArray = (0..entities).map(|entity| Some(status_at(entity).as_str())).collect();
            self.push(format!("{name}__status"), Arc::new(statuses));
        }
    }
}
