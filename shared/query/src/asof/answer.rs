//! The answer of a part: the spine's batches with what won for each row.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int8Array, RecordBatch, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use forebay_model::{Duration, Freshness, Status, Timestamp};

use super::candidates::{RowRef, Winners};
use super::exec::Found;
use super::index::{NO_SLOT, SpineIndex};
use super::kept::AllKept;
use super::stream::AsOfJoin;
use super::time::micros;

/// Everything the output is made of; batches are made one by one.
pub(super) struct Answer {
    spine: Vec<RecordBatch>,
    /// Per batch, the number of its first row.
    first_row: Vec<usize>,
    index: Arc<SpineIndex>,
    winners: Winners,
    kept: AllKept,
    /// Memory that is free when the answer has been read.
    _held: Vec<MemoryReservation>,
}

impl Answer {
    pub(super) fn new(
        spine: Vec<RecordBatch>,
        index: Arc<SpineIndex>,
        winners: Winners,
        kept: AllKept,
        held: Vec<MemoryReservation>,
    ) -> Self {
        let mut next = 0;
        let first_row = spine
            .iter()
            .map(|batch| {
                let first = next;
                next += batch.num_rows();
                first
            })
            .collect();
        Self {
            spine,
            first_row,
            index,
            winners,
            kept,
            _held: held,
        }
    }

    /// How many batches there are.
    pub(super) fn len(&self) -> usize {
        self.spine.len()
    }

    /// One batch of the output.
    pub(super) fn batch(&self, join: &AsOfJoin, number: usize) -> Result<RecordBatch> {
        let spine = &self.spine[number];
        let columns = self.columns(join, number, spine.columns().to_vec())?;
        Ok(RecordBatch::try_new(Arc::clone(&join.schema), columns)?)
    }

    /// The same for a part: its spine ends with the row number, which goes to the end again.
    pub(super) fn numbered_batch(&self, join: &AsOfJoin, number: usize, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut spine = self.spine[number].columns().to_vec();
        let row_number = spine.pop();
        let mut columns = self.columns(join, number, spine)?;
        columns.extend(row_number);
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }

    fn columns(&self, join: &AsOfJoin, number: usize, mut columns: Vec<ArrayRef>) -> Result<Vec<ArrayRef>> {
        let spine = &self.spine[number];
        let first = self.first_row[number];
        let times = micros(spine.column(join.on.time))?;
        let freshness = Freshness::new(None, join.max_age.map(Duration::from_micros));
        let chunks = &self.kept.chunks;
        let deleted = join.roles.deleted.map(|column| {
            let flags = chunks.iter().map(|chunk| chunk.column(column).as_boolean());
            flags.collect::<Vec<&BooleanArray>>()
        });
        // Rows without a value take it from a null behind the chunks.
        let nothing = (chunks.len(), 0);
        let mut rows = Vec::with_capacity(spine.num_rows());
        let mut found = Vec::with_capacity(spine.num_rows());
        let mut event_times = Vec::with_capacity(spine.num_rows());
        for row in 0..spine.num_rows() {
            let slot = self.index.slot_of_row()[first + row];
            let winner = match slot {
                NO_SLOT => RowRef::NONE,
                slot => self.winners.rows[slot as usize],
            };
            if winner == RowRef::NONE {
                rows.push(nothing);
                found.push(Found::Nothing as i8);
                event_times.push(None);
                continue;
            }
            let (chunk, place) = self.kept.locate(winner);
            let is_delete = deleted
                .as_ref()
                .is_some_and(|flags| flags[chunk].is_valid(place) && flags[chunk].value(place));
            let event_time = self.winners.event_time(slot as usize);
            let at = Timestamp::from_micros(times.value(row));
            let status = freshness.status(Some((Timestamp::from_micros(event_time), is_delete)), at);
            let (place, what, event_time) = match status {
                Status::Present => ((chunk, place), Found::Row, Some(event_time)),
                Status::OutsideMaxAge => (nothing, Found::TooOld, Some(event_time)),
                _ => (nothing, Found::Nothing, None),
            };
            rows.push(place);
            found.push(what as i8);
            event_times.push(event_time);
        }
        for (column, _) in &join.roles.features {
            let data_type = match chunks.first() {
                Some(chunk) => chunk.column(*column).data_type().clone(),
                None => join.schema.field(columns.len()).data_type().clone(),
            };
            let null = new_null_array(&data_type, 1);
            let mut arrays: Vec<&dyn Array> = chunks.iter().map(|chunk| chunk.column(*column).as_ref()).collect();
            arrays.push(null.as_ref());
            columns.push(interleave(&arrays, &rows)?);
        }
        if join.told.event_time.is_some() {
            columns.push(Arc::new(
                TimestampMicrosecondArray::from(event_times).with_timezone("UTC"),
            ));
        }
        if join.told.found.is_some() {
            columns.push(Arc::new(Int8Array::from(found)));
        }
        Ok(columns)
    }
}
