//! History rows that are, or recently were, the best of some cell.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::physical_plan::spill::get_record_batch_memory_size;

use super::candidates::{Candidates, RowRef};

/// The rows one task keeps, in chunks of equal length.
pub(super) struct KeptRows {
    task: u16,
    schema: SchemaRef,
    chunk_rows: usize,
    chunks: Vec<RecordBatch>,
    chunk_bytes: usize,
    open: BatchCoalescer,
    /// How many rows are here: the number of the next one.
    len: u64,
    /// [`Self::len`] at which superseded rows are worth clearing out.
    clear_at: u64,
}

/// Below this many rows nothing is cleared out for its own sake.
const CLEAR_FROM: u64 = 1 << 16;

impl KeptRows {
    pub(super) fn new(task: u16, schema: SchemaRef, chunk_rows: usize) -> Self {
        Self {
            task,
            open: BatchCoalescer::new(schema.clone(), chunk_rows),
            schema,
            chunk_rows,
            chunks: Vec::new(),
            chunk_bytes: 0,
            len: 0,
            clear_at: CLEAR_FROM,
        }
    }

    /// The reference of the row that would be the `ahead`-th to be kept from here.
    pub(super) fn reference(&self, ahead: u64) -> RowRef {
        RowRef::new(self.task, self.len + ahead)
    }

    /// Keeps the chosen rows, in order.
    pub(super) fn push(&mut self, batch: RecordBatch, keep: &BooleanArray) -> Result<()> {
        let kept = keep.true_count();
        if kept == 0 {
            return Ok(());
        }
        self.len += kept as u64;
        if kept == batch.num_rows() {
            self.open.push_batch(batch)?;
        } else {
            self.open.push_batch_with_filter(batch, keep)?;
        }
        self.collect_chunks();
        Ok(())
    }

    fn collect_chunks(&mut self) {
        while let Some(chunk) = self.open.next_completed_batch() {
            self.chunk_bytes += get_record_batch_memory_size(&chunk);
            self.chunks.push(chunk);
        }
    }

    /// Bytes held.
    pub(super) fn memory_size(&self) -> usize {
        self.chunk_bytes + self.open.size()
    }

    /// True if most rows may have been superseded: a history in the order of time supersedes again
    /// and again, and what is kept must grow with the spine alone.
    pub(super) fn should_clear(&self) -> bool {
        self.len >= self.clear_at
    }

    /// Drops superseded rows and renumbers the others. Other tasks may go on offering meanwhile:
    /// only this task adds references to its rows.
    pub(super) fn clear_superseded(&mut self, candidates: &Candidates) -> Result<()> {
        let mut live = vec![0u64; (self.len as usize).div_ceil(64)];
        candidates.for_each_row(|row| {
            if row.task() == self.task {
                live[row.number() as usize / 64] |= 1 << (row.number() % 64);
            }
        });
        let mut before = Vec::with_capacity(live.len());
        let mut count = 0u64;
        for word in &live {
            before.push(count);
            count += u64::from(word.count_ones());
        }
        self.open.finish_buffered_batch()?;
        self.collect_chunks();
        let old = std::mem::take(&mut self.chunks);
        self.chunk_bytes = 0;
        self.open = BatchCoalescer::new(self.schema.clone(), self.chunk_rows);
        let mut first = 0usize;
        for chunk in old {
            let rows = chunk.num_rows();
            let keep = BooleanArray::new(
                BooleanBuffer::collect_bool(rows, |row| {
                    let number = first + row;
                    live[number / 64] >> (number % 64) & 1 == 1
                }),
                None,
            );
            first += rows;
            if keep.true_count() > 0 {
                self.open.push_batch_with_filter(chunk, &keep)?;
                self.collect_chunks();
            }
        }
        candidates.for_each_row(|row| {
            if row.task() == self.task {
                let (word, bit) = (row.number() as usize / 64, row.number() % 64);
                let lower = live[word] & ((1 << bit) - 1);
                *row = RowRef::new(self.task, before[word] + u64::from(lower.count_ones()));
            }
        });
        self.len = count;
        self.clear_at = CLEAR_FROM.max(count * 2);
        Ok(())
    }

    /// The chunks; all but the last have `chunk_rows` rows.
    pub(super) fn into_chunks(mut self) -> Result<Vec<RecordBatch>> {
        self.open.finish_buffered_batch()?;
        self.collect_chunks();
        Ok(self.chunks)
    }
}

/// The kept rows of all tasks.
#[derive(Debug)]
pub(super) struct AllKept {
    pub(super) chunks: Vec<RecordBatch>,
    /// Per task, the number of its first chunk.
    first_chunk: Vec<usize>,
    chunk_rows: u64,
}

impl AllKept {
    /// `tasks` in the order of their numbers, without gaps.
    pub(super) fn new(tasks: Vec<KeptRows>, chunk_rows: usize) -> Result<Self> {
        let mut kept = Self {
            chunks: Vec::new(),
            first_chunk: Vec::new(),
            chunk_rows: chunk_rows as u64,
        };
        for task in tasks {
            kept.add(task)?;
        }
        Ok(kept)
    }

    /// Adds the task with the next number.
    pub(super) fn add(&mut self, task: KeptRows) -> Result<()> {
        debug_assert_eq!(task.task as usize, self.first_chunk.len());
        self.first_chunk.push(self.chunks.len());
        self.chunks.extend(task.into_chunks()?);
        Ok(())
    }

    /// How many tasks' rows are here.
    pub(super) fn tasks(&self) -> u16 {
        self.first_chunk.len() as u16
    }

    /// The chunk of a row and its place there.
    pub(super) fn locate(&self, row: RowRef) -> (usize, usize) {
        let first = self.first_chunk[row.task() as usize];
        (
            first + (row.number() / self.chunk_rows) as usize,
            (row.number() % self.chunk_rows) as usize,
        )
    }
}
