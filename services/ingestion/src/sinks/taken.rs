//! Which rows of which batches a sink has taken, so that those of a repeated attempt are left out.
//!
//! Both sinks leave out the same rows, whatever their pace: a batch's rows stand in a partition in the order of their indexes, at every attempt, so a row is a
//! repetition when one of its batch and partition with the same or a greater index stands before it.

use std::collections::{BTreeMap, HashMap};

use forebay_model::{Duration, Timestamp};
use forebay_storage::{BatchId, CommitNotes, LoggedRow};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

/// The note of a commit that tells which batches it holds, and up to which index.
pub(crate) const NOTE: &str = "batches";
/// How long a batch can be repeated: its claim lasts a day.
pub(crate) const LASTS: Duration = Duration::from_micros(25 * 3_600 * 1_000_000);

/// The batches of one sink.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    batches: HashMap<(u32, BatchId), Seen>,
    expired_at: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    index: u32,
    ingest_time: Timestamp,
}

impl Taken {
    /// Whether a row is to be taken; if so, it is from now on. Rows of requests without identity always are.
    pub(crate) fn take(&mut self, partition: u32, row: &LoggedRow, ingest_time: Timestamp) -> bool {
        if row.batch.0 == Uuid::nil() {
            return true;
        }
        let seen = Seen {
            index: row.index,
            ingest_time,
        };
        match self.batches.get_mut(&(partition, row.batch)) {
            Some(before) if before.index >= row.index => false,
            Some(before) => {
                *before = seen;
                true
            }
            None => {
                self.batches.insert((partition, row.batch), seen);
                true
            }
        }
    }

    /// Takes over what a commit's note tells.
    pub(crate) fn learn(&mut self, commit: &CommitNotes) {
        let Some(Json::Object(partitions)) = commit.notes.get(NOTE) else {
            return;
        };
        let ingest_time = commit.committed_at.unwrap_or_default();
        for (partition, batches) in partitions {
            let (Ok(partition), Json::Object(batches)) = (partition.parse(), batches) else {
                continue;
            };
            for (batch, index) in batches {
                let (Ok(batch), Some(index)) = (batch.parse(), index.as_u64()) else {
                    continue;
                };
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                let seen = Seen { index, ingest_time };
                let known = self.batches.entry((partition, BatchId(batch))).or_insert(seen);
                known.index = known.index.max(index);
            }
        }
    }

    /// Forgets batches that cannot be repeated any more; looks through them once in a while only.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        if now < self.expired_at.saturating_add(Duration::from_micros(60_000_000)) {
            return;
        }
        self.expired_at = now;
        let before = now.saturating_sub(LASTS);
        self.batches.retain(|_, seen| seen.ingest_time >= before);
    }
}

/// The note of a commit with these rows, given as partition, batch and index; `None` when none of them has an identity.
pub(crate) fn note(rows: impl Iterator<Item = (u32, BatchId, u32)>) -> Option<Json> {
    let mut partitions: BTreeMap<u32, BTreeMap<Uuid, u32>> = BTreeMap::new();
    for (partition, batch, index) in rows.filter(|(_, batch, _)| batch.0 != Uuid::nil()) {
        let greatest = partitions.entry(partition).or_default().entry(batch.0).or_default();
        *greatest = index.max(*greatest);
    }
    let note: Map<String, Json> = partitions
        .into_iter()
        .map(|(partition, batches)| (partition.to_string(), json!(batches)))
        .collect();
    (!note.is_empty()).then_some(Json::Object(note))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn row(batch: u128, index: u32) -> LoggedRow {
        LoggedRow {
            offset: 0,
            key: Bytes::new(),
            row: Bytes::new(),
            batch: BatchId(Uuid::from_u128(batch)),
            index,
            ordinal: index,
        }
    }

    fn commit(at: i64, batches: &[(u128, u32)]) -> CommitNotes {
        let note = note(
            batches
                .iter()
                .map(|(batch, index)| (0, BatchId(Uuid::from_u128(*batch)), *index)),
        );
        CommitNotes {
            version: 1,
            committed_at: Some(Timestamp::from_micros(at)),
            positions: BTreeMap::new(),
            notes: note.map(|note| (NOTE.to_owned(), note)).into_iter().collect(),
        }
    }

    #[test]
    fn a_repeated_attempt_is_left_out_and_goes_on_where_the_first_ended() {
        let mut taken = Taken::default();
        let now = Timestamp::from_micros(0);
        let take = |taken: &mut Taken, batch, index| taken.take(0, &row(batch, index), now);
        assert!(take(&mut taken, 1, 0) && take(&mut taken, 1, 1));
        assert!(!take(&mut taken, 1, 0) && !take(&mut taken, 1, 1) && take(&mut taken, 1, 2));
        assert!(
            take(&mut taken, 2, 1),
            "another batch, of which another partition has the row before"
        );
        assert!(!take(&mut taken, 2, 1));
        assert!(
            taken.take(1, &row(2, 0), now),
            "partitions have nothing to do with each other"
        );
        assert!(
            take(&mut taken, 0, 0) && take(&mut taken, 0, 0),
            "rows without identity are never repetitions"
        );
    }

    #[test]
    fn notes_tell_what_was_taken() {
        let mut taken = Taken::default();
        taken.learn(&commit(5, &[(1, 7), (1, 3), (0, 9)]));
        let now = Timestamp::from_micros(0);
        assert!(!taken.take(0, &row(1, 7), now));
        assert!(taken.take(0, &row(1, 8), now));
        assert_eq!(note([(0, BatchId(Uuid::nil()), 1)].into_iter()), None);
    }

    #[test]
    fn batches_are_forgotten_after_a_day() {
        let mut taken = Taken::default();
        let hours = |hours: i64| Timestamp::from_micros(hours * 3_600 * 1_000_000);
        assert!(taken.take(0, &row(1, 0), hours(0)));
        taken.expire(hours(24));
        assert!(!taken.take(0, &row(1, 0), hours(0)));
        taken.expire(hours(26));
        assert!(taken.take(0, &row(1, 0), hours(26)));
    }
}
