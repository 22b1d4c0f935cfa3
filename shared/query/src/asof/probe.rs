//! History rows against the spine's index.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, TimestampMicrosecondArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use forebay_model::{Timestamp, admission};

use super::candidates::{Candidates, RowRef, Version};
use super::index::SpineIndex;
use super::keys::{Keys, NO_KEY};
use super::time::micros;

/// The columns of a history batch that decide which row wins.
pub(super) struct HistoryColumns {
    keys: Keys,
    event_time: TimestampMicrosecondArray,
    ingest_time: Option<TimestampMicrosecondArray>,
    sequence: Option<Int64Array>,
}

/// The times and the effective sequence of an admissible row.
#[derive(Debug, Clone, Copy)]
struct Row {
    event_time: i64,
    ingest_time: i64,
    sequence: i64,
}

impl HistoryColumns {
    /// Without `ingest_time` a row was taken in when it happened; without `sequence` the ingest time is the sequence.
    pub(super) fn new(
        keys: Keys,
        event_time: &ArrayRef,
        ingest_time: Option<&ArrayRef>,
        sequence: Option<&ArrayRef>,
    ) -> Result<Self> {
        Ok(Self {
            keys,
            event_time: micros(event_time)?,
            ingest_time: ingest_time.map(micros).transpose()?,
            sequence: sequence
                .filter(|column| column.data_type() == &DataType::Int64)
                .map(|column| column.as_primitive::<Int64Type>().clone()),
        })
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The row, if readers may see it at all.
    fn admissible(&self, row: usize) -> Option<Row> {
        let event_time = self.event_time.is_valid(row).then(|| self.event_time.value(row))?;
        let ingest_time = match &self.ingest_time {
            Some(times) => times.is_valid(row).then(|| times.value(row))?,
            None => event_time.max(0),
        };
        let sequence = match &self.sequence {
            Some(sequence) if sequence.is_valid(row) => sequence.value(row),
            _ => ingest_time,
        };
        admission::of_stored(
            Some(Timestamp::from_micros(event_time)),
            Some(Timestamp::from_micros(ingest_time)),
            Some(sequence),
        )
        .ok()?;
        Some(Row {
            event_time,
            ingest_time,
            sequence,
        })
    }
}

/// An index, the candidates for its cells, and what all spine rows may know.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) index: Arc<SpineIndex>,
    pub(super) candidates: Candidates,
    /// Rows taken in after this moment are unknown to every spine row. `i64::MAX`: no bound.
    pub(super) known_at: i64,
}

impl Probe {
    /// The rows that are not yet certain to lose. Takes no lock and changes nothing.
    pub(super) fn may_win(&self, columns: &HistoryColumns) -> BooleanArray {
        let mut ids = Vec::new();
        self.index.table().find(&columns.keys, &mut ids);
        if self.index.known().is_none() {
            return self.may_win_alike(columns, &ids);
        }
        let keep = ids
            .iter()
            .enumerate()
            .map(|(number, &key)| {
                let mut may_win = false;
                self.for_each_cell(columns, number, key, |_, cell, row| {
                    may_win |= self.candidates.could_win(cell, row.event_time);
                });
                may_win
            })
            .collect::<Vec<_>>();
        BooleanArray::from(keep)
    }

    /// [`Self::may_win`] while all spine rows know the same.
    ///
    /// In two passes, the second without branches: whether a row may win is a coin toss that no processor predicts, and waits for memory. So
    /// the waits overlap.
    fn may_win_alike(&self, columns: &HistoryColumns, ids: &[u32]) -> BooleanArray {
        let nowhere = self.index.cells();
        let asked: Vec<(usize, i64)> = ids
            .iter()
            .enumerate()
            .map(|(number, &key)| {
                if key == NO_KEY {
                    return (nowhere, 0);
                }
                match columns.admissible(number) {
                    Some(row) if row.ingest_time <= self.known_at => {
                        (self.index.only_cell(key, row.event_time), row.event_time)
                    }
                    _ => (nowhere, 0),
                }
            })
            .collect();
        let keep = BooleanBuffer::collect_bool(asked.len(), |number| {
            let (cell, event_time) = asked[number];
            self.candidates.could_win(cell, event_time)
        });
        BooleanArray::new(keep, None)
    }

    /// Lets the rows compete and tells which must be kept; the n-th of these is `reference(n)`.
    pub(super) fn offer(
        &self,
        columns: &HistoryColumns,
        ids: &mut Vec<u32>,
        reference: impl Fn(u64) -> RowRef,
    ) -> BooleanArray {
        self.index.table().find(&columns.keys, ids);
        let mut kept = 0u64;
        let keep = ids
            .iter()
            .enumerate()
            .map(|(number, &key)| {
                let mut keep = false;
                self.for_each_cell(columns, number, key, |_, cell, row| {
                    if self.candidates.could_win(cell, row.event_time) {
                        let version = Version {
                            event_time: row.event_time,
                            sequence: row.sequence,
                            hash: 0,
                        };
                        keep |= self.candidates.offer(cell, version, reference(kept));
                    }
                });
                kept += u64::from(keep);
                keep
            })
            .collect::<Vec<_>>();
        BooleanArray::from(keep)
    }

    /// The second round: only rows of tied versions compete, with their hashes.
    pub(super) fn offer_tied(
        &self,
        columns: &HistoryColumns,
        tied: impl Fn((u32, i64, i64)) -> bool,
        mut hash: impl FnMut(usize) -> Result<u64>,
        reference: impl Fn(u64) -> RowRef,
    ) -> Result<BooleanArray> {
        let mut ids = Vec::new();
        self.index.table().find(&columns.keys, &mut ids);
        let mut kept = 0u64;
        let mut keep = Vec::with_capacity(ids.len());
        for (number, &key) in ids.iter().enumerate() {
            let mut cells = Vec::new();
            self.for_each_cell(columns, number, key, |key, cell, row| {
                if tied((key, row.event_time, row.sequence)) {
                    cells.push((cell, row));
                }
            });
            let mut kept_here = false;
            if !cells.is_empty() {
                let hash = hash(number)?;
                for (cell, row) in cells {
                    let version = Version {
                        event_time: row.event_time,
                        sequence: row.sequence,
                        hash,
                    };
                    kept_here |= self.candidates.offer(cell, version, reference(kept));
                }
            }
            kept += u64::from(kept_here);
            keep.push(kept_here);
        }
        Ok(BooleanArray::from(keep))
    }

    fn for_each_cell(&self, columns: &HistoryColumns, number: usize, key: u32, mut visit: impl FnMut(u32, usize, Row)) {
        if key == NO_KEY {
            return;
        }
        let Some(row) = columns.admissible(number) else {
            return;
        };
        if row.ingest_time > self.known_at {
            return;
        }
        self.index
            .for_each_cell(key, row.event_time, row.ingest_time, |cell| visit(key, cell, row));
    }
}
