use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::{Generation, GroupId, GroupSchema, LayoutNumber, Timestamp};
use forebay_telemetry::TraceContext;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::{Provision, Result, UnreadableRecord};

/// Identifies the rows of one request through all its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub Uuid);

impl BatchId {
    /// The identity of what was first sent at `moment`, which it tells: a UUID of version 7, so that identities are in the order of their moments. The hash is
    /// the rest of it, as far as there is room.
    #[must_use]
    pub fn of(moment: Timestamp, hash: u128) -> Self {
        let millis = u64::try_from(moment.micros().div_euclid(1_000)).unwrap_or_default();
        let hash = hash.to_be_bytes();
        let mut rest = [0; 10];
        rest.copy_from_slice(&hash[6..]);
        Self(Builder::from_unix_timestamp_millis(millis, &rest).into_uuid())
    }

    /// When it was first sent, in whole milliseconds; `None` for an identity that does not tell.
    #[must_use]
    pub fn moment(&self) -> Option<Timestamp> {
        let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or(i64::MAX);
        (self.0.get_version_num() == 7).then(|| Timestamp::from_micros(millis.saturating_mul(1_000)))
    }
}

/// The stream of one group's rows within one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Topic {
    pub group: GroupId,
    pub generation: Generation,
}

impl Topic {
    #[must_use]
    pub fn of(schema: &GroupSchema) -> Self {
        Self {
            group: schema.id,
            generation: schema.generation,
        }
    }
}

/// A row to append: an encoded key and a packed row, whose sequence is not set yet: its position will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    pub key: Bytes,
    pub row: Bytes,
}

/// Where appended rows stand: `count` consecutive offsets from `first` on. The rows of one partition keep their order; they are in several such ranges when
/// others appended in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    pub partition: u32,
    pub first: u64,
    pub count: u64,
}

/// A row as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRow {
    pub offset: u64,
    pub key: Bytes,
    /// Packed, with the sequence of its position. A row that took longer to the log than is allowed for has a later ingest time than it was sent with, the same
    /// to every reader.
    pub row: Bytes,
    /// Which request it came with and the row's index there.
    pub batch: BatchId,
    pub index: u32,
    /// How many rows of the same attempt of its batch stand before it in its partition: the same in every attempt, so that a gap shows a row that an attempt
    /// has lost, and a repetition of the batch fills it.
    pub ordinal: u32,
}

/// Rows that came with one sampled request: those of the offsets from `first` to `last`, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    pub first: u64,
    pub last: u64,
    /// The span that appended them.
    pub context: TraceContext,
}

impl Traced {
    /// What of it lies within these offsets, both included.
    #[must_use]
    pub fn within(&self, first: u64, last: u64) -> Option<Self> {
        let (first, last) = (self.first.max(first), self.last.min(last));
        (first <= last).then(|| Self {
            first,
            last,
            context: self.context.clone(),
        })
    }

    /// For backends: adds the next row to what is known, which is `most` requests at most.
    pub fn add(known: &mut Vec<Self>, offset: u64, context: TraceContext, most: usize) {
        if let Some(last) = known.last_mut()
            && last.context == context
        {
            last.last = offset;
        } else if known.len() < most {
            known.push(Self {
                first: offset,
                last: offset,
                context,
            });
        }
    }
}

/// Rows in the order of their offsets.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    pub rows: Vec<LoggedRow>,
    /// Which of them came with sampled requests, as far as the log remembers.
    pub traces: Vec<Traced>,
    /// Records between them that are no rows, in the order of their offsets. Only a log that others write to has any.
    pub unreadable: Vec<UnreadableRecord>,
    /// The offset to fetch next.
    pub next: u64,
    /// No row that is appended later will have an ingest time below this, as far as the log itself can tell; `None` when it cannot.
    pub settled: Option<Timestamp>,
}

/// The ordered, partitioned, durable log between ingestion and the sinks: one topic per group and generation.
///
/// A row is in one partition, decided by its key alone, so the offsets of a key's rows tell the order in which they were taken in. Within a batch the rows
/// of a partition keep their order, also when an attempt is repeated.
#[async_trait]
pub trait RowLog: Provision {
    /// Appends the rows of a batch. When it returns they are durable and readable; after an error any prefix per partition may be. Within a sampled request
    /// they carry the current span.
    async fn append(&self, schema: &Arc<GroupSchema>, batch: BatchId, rows: Vec<LogRow>) -> Result<Vec<Appended>>;

    /// Rows from offset `from` on, about `max_bytes` of them (at least one if there is one), waiting up to `wait` for the first.
    async fn fetch(
        &self,
        schema: &Arc<GroupSchema>,
        partition: u32,
        from: u64,
        max_bytes: usize,
        wait: Duration,
    ) -> Result<Fetched>;

    /// The first offset that is still held and the one after the last, for each partition.
    async fn bounds(&self, schema: &Arc<GroupSchema>) -> Result<Vec<(u64, u64)>>;

    /// An offset before which no row was appended at `time` or later, by the log's clock: the greatest that the log can tell, the first one that it holds if it
    /// knows no times.
    async fn offset_at(&self, schema: &Arc<GroupSchema>, partition: u32, _time: Timestamp) -> Result<u64> {
        let bounds = self.bounds(schema).await?;
        Ok(bounds.get(partition as usize).map_or(0, |bounds| bounds.0))
    }

    /// Which topic this is, where one may be deleted and made again under the same name: offsets of one mean nothing in another. `None` when that cannot be.
    async fn identity(&self, _schema: &Arc<GroupSchema>) -> Result<Option<Uuid>> {
        Ok(None)
    }

    /// Tells that the registry knows no such layout of the group: after this, records that claim it are unreadable rather than
    /// [`crate::StorageError::NewerLayout`].
    fn no_such_layout(&self, _schema: &Arc<GroupSchema>, _layout: LayoutNumber) {}

    /// How many bytes it holds, and the bound at which it refuses appends as full.
    fn fill(&self) -> (u64, u64);

    /// Tells that `consumer` needs nothing below `next` any more. A log without retention of its own drops what all of its consumers have released.
    async fn release(&self, topic: Topic, partition: u32, consumer: &str, next: u64) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_tells_its_moment_and_is_in_its_order() {
        let at = |micros| Timestamp::from_micros(micros);
        let one = BatchId::of(at(1_764_000_000_123_456), u128::MAX);
        assert_eq!(one.moment(), Some(at(1_764_000_000_123_000)));
        assert!(one < BatchId::of(at(1_764_000_000_124_000), 0));
        assert_ne!(one, BatchId::of(at(1_764_000_000_123_456), u128::MAX - 1));
        assert_eq!(BatchId::of(at(-5), 3).moment(), Some(at(0)));
        assert_eq!(BatchId(Uuid::from_u128(7)).moment(), None);
        assert_eq!(BatchId(Uuid::nil()).moment(), None);
    }
}
