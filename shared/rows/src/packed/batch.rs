use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use forebay_model::{Sequence, Timestamp};

use super::{HEAD_LENGTH, Layouts, PackedError, RowHead, RowView, patch_event_time, patch_ingest_time, patch_sequence};

/// Rows of one group with their encoded keys, each kind in one arena. Values may still be withdrawn from it.
#[derive(Debug, Clone)]
pub struct RowBatch {
    pub(crate) layouts: Arc<Layouts>,
    pub(crate) keys: Vec<u8>,
    pub(crate) rows: Vec<u8>,
    /// Of each row: its key and itself.
    pub(crate) spans: Vec<(Range<usize>, Range<usize>)>,
}

impl RowBatch {
    #[must_use]
    pub fn layouts(&self) -> &Arc<Layouts> {
        &self.layouts
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The encoded key of a row.
    #[must_use]
    pub fn key(&self, index: usize) -> &[u8] {
        &self.keys[self.spans[index].0.clone()]
    }

    /// A row, packed.
    #[must_use]
    pub fn row(&self, index: usize) -> &[u8] {
        &self.rows[self.spans[index].1.clone()]
    }

    /// A row, opened.
    ///
    /// # Errors
    /// Never for a batch that a writer made.
    pub fn view(&self, index: usize) -> Result<RowView<'_>, PackedError> {
        self.layouts.open(self.row(index))
    }

    /// Makes a feature of a row null. The content of a variable one stays in the row's heap, unreachable.
    pub fn set_null(&mut self, index: usize, slot: usize) {
        let size = self.layouts.current();
        let start = size.fixed_start as usize + self.layouts.offset(slot);
        let end = size.fixed_start as usize + self.layouts.offset(slot + 1);
        let row = &mut self.rows[self.spans[index].1.clone()];
        row[HEAD_LENGTH + slot / 8] &= !(1 << (slot % 8));
        row[start..end].fill(0);
    }

    /// When a row's facts became true.
    #[must_use]
    pub fn event_time(&self, index: usize) -> Timestamp {
        // A row that a writer made has a head.
        RowHead::read(self.row(index)).map_or(Timestamp::MIN, |head| head.event_time)
    }

    /// Gives a row its times.
    pub fn set_times(&mut self, index: usize, event_time: Timestamp, ingest_time: Timestamp) {
        let row = &mut self.rows[self.spans[index].1.clone()];
        // As above.
        let _ = patch_event_time(row, event_time).and_then(|()| patch_ingest_time(row, ingest_time));
    }

    /// Gives a row that came as a commit its sequence.
    pub fn set_sequence(&mut self, index: usize, sequence: Sequence) {
        // As above.
        let _ = patch_sequence(&mut self.rows[self.spans[index].1.clone()], sequence);
    }

    /// Keeps the rows whose index `keep` names.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut index = 0;
        self.spans.retain(|_| {
            index += 1;
            keep(index - 1)
        });
    }

    /// Bytes of all keys and rows.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        self.keys.len() + self.rows.len()
    }

    /// Makes rows and keys shareable without copying them.
    #[must_use]
    pub fn freeze(self) -> PackedRows {
        PackedRows {
            keys: self.keys.into(),
            rows: self.rows.into(),
            spans: self.spans,
        }
    }
}

/// Packed rows and their encoded keys, shared: each is a slice of one arena.
#[derive(Debug, Clone)]
pub struct PackedRows {
    keys: Bytes,
    rows: Bytes,
    spans: Vec<(Range<usize>, Range<usize>)>,
}

impl PackedRows {
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Keys and rows in order. No bytes are copied.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Bytes, Bytes)> {
        self.spans
            .iter()
            .map(|(key, row)| (self.keys.slice(key.clone()), self.rows.slice(row.clone())))
    }
}
