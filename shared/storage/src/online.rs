use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::{GroupSchema, Timestamp};

use crate::{Provision, Result, StorageError};

/// A row on its way to the online store: an encoded key and a packed row whose sequence is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlineRow {
    pub key: Bytes,
    pub row: Bytes,
}

/// How far a consumer has brought its input into the store: everything below `position` is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Names the input, such as `rows/7.0/0` (group id, generation, partition) or `commits/7.0`.
    pub consumer: String,
    pub position: i64,
}

/// The keys asked of one group.
#[derive(Clone, Debug)]
pub struct OnlineRead {
    pub schema: Arc<GroupSchema>,
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl OnlineRead {
    #[must_use]
    pub fn new(schema: Arc<GroupSchema>) -> Self {
        Self {
            schema,
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Appends an encoded key through `write`, which must only append.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    pub fn push(&mut self, key: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(key));
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    #[must_use]
    pub fn key(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[index] as usize]
    }

    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.key(index))
    }
}

/// Room that [`OnlineAnswer::expect`] makes at most; what is longer grows as it comes.
const EXPECTED_BYTES: usize = 4 << 20;

/// The rows that a read found, in one arena; or, per group, why it could not be read.
#[derive(Debug, Default)]
pub struct OnlineAnswer {
    arena: Vec<u8>,
    /// One per key of every read, in order; an empty span is an absent row, since no packed row is empty.
    spans: Vec<(usize, usize)>,
    /// Where each read's spans begin, or its error.
    groups: Vec<Result<usize>>,
}

impl OnlineAnswer {
    /// For backends: starts the answer to the next read.
    pub fn begin(&mut self) {
        self.groups.push(Ok(self.spans.len()));
    }

    /// For backends: makes room for so many rows of about so many bytes each, so that they need not be moved while they come.
    pub fn expect(&mut self, rows: usize, bytes: usize) {
        self.spans.reserve(rows);
        self.arena.reserve(rows.saturating_mul(bytes).min(EXPECTED_BYTES));
    }

    /// For backends: the next key's row, or that there is none.
    pub fn push(&mut self, row: Option<&[u8]>) {
        let start = self.arena.len();
        self.arena.extend_from_slice(row.unwrap_or_default());
        self.spans.push((start, self.arena.len()));
    }

    /// For backends: the read begun last failed, whatever was pushed for it.
    pub fn fail(&mut self, error: StorageError) {
        if let Some(last) = self.groups.last_mut()
            && let Ok(start) = last
        {
            self.spans.truncate(*start);
            *last = Err(error);
        }
    }

    /// The packed row of the `key`th key of the `read`th read; `None` when the store holds no row for it.
    ///
    /// # Errors
    /// When that group could not be read.
    pub fn row(&self, read: usize, key: usize) -> Result<Option<&[u8]>, &StorageError> {
        let (start, end) = self.spans[*self.groups[read].as_ref()? + key];
        Ok((start != end).then(|| &self.arena[start..end]))
    }

    /// # Errors
    /// Why the `read`th read failed, if it did.
    pub fn outcome(&self, read: usize) -> Result<(), &StorageError> {
        self.groups[read].as_ref().map(|_| ())
    }
}

/// What one step of a sweep did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    pub removed: u64,
    /// Where to go on; `None` when the whole table was seen.
    pub next: Option<Bytes>,
}

/// The newest row per key of every group.
///
/// Of all rows of a key that were ever upserted the store keeps the one that wins: the greatest event time, then the greatest sequence, then the greatest
/// canonical hash; rows are never merged. So upserts may be repeated and reordered at will. Deletes are rows like others and stay. Rows of an older layout
/// stay as they were written.
#[async_trait]
pub trait OnlineStore: Provision {
    /// Brings rows of one group into the store. When it returns, readers see them or newer ones. `progress` becomes durable together with the rows or
    /// after them, never before; it may lag behind what readers see. Without rows the group needs no table here.
    async fn upsert(&self, schema: &Arc<GroupSchema>, rows: Vec<OnlineRow>, progress: Option<Progress>) -> Result<()>;

    /// The durable progress of a consumer: where it must resume after a crash. `None` when it never made any.
    async fn progress(&self, consumer: &str) -> Result<Option<i64>>;

    /// Makes everything upserted so far durable, with its progress.
    async fn flush(&self) -> Result<()>;

    /// Reads the winning rows of many groups, as stored: deleted and expired ones too, since readers decide. A group that fails or misses the deadline
    /// fails alone. `answer` must be empty.
    async fn read(&self, reads: &[OnlineRead], deadline: Instant, answer: &mut OnlineAnswer);

    /// Removes rows with an event time before `before`, looking at no more than `limit` rows from `from` on. Only for rows older than twice the ttl.
    async fn sweep(
        &self,
        schema: &Arc<GroupSchema>,
        before: Timestamp,
        from: Option<Bytes>,
        limit: usize,
    ) -> Result<Swept>;

    /// Forgets all rows of the group and the progress of the given consumer, before the group is rebuilt from its table.
    async fn clear(&self, schema: &Arc<GroupSchema>, consumer: &str) -> Result<()>;
}
