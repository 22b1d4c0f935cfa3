//! Which rows of which batches a sink has taken, so that those of a repeated attempt are left out.
//!
//! Attempts of one batch may come one after the other or at the same time, from several processes, so that their rows stand between one another in a partition;
//! each of them may end anywhere, and may have lost rows in the middle. What does not change is a row's ordinal among the rows of its batch in its partition:
//! of all rows with one ordinal the first is taken. Both sinks look at the same rows in the same order, and so leave out the same ones, whatever their pace.

use std::collections::{BTreeMap, HashMap};

use forebay_model::{Duration, Timestamp};
use forebay_storage::{BatchId, CommitNotes, LoggedRow};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::ordinals::Ordinals;

/// The note of a commit that tells which rows of which batches it holds.
pub(crate) const NOTE: &str = "batches";
/// How long a batch can be repeated: its claim lasts a day.
pub(crate) const LASTS: Duration = Duration::from_micros(25 * 3_600 * 1_000_000);
/// How often, in the time of the log, it is looked for batches to forget.
const LOOK: Duration = Duration::from_micros(60_000_000);

/// The batches of one sink in one partition.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    batches: HashMap<BatchId, Seen>,
    /// The time that the log has come to: what may be forgotten is told by it and not by the clock, since a sink may be days behind.
    newest: Timestamp,
    expired_at: Timestamp,
}

#[derive(Debug, Clone)]
struct Seen {
    ordinals: Ordinals,
    ingest_time: Timestamp,
}

impl Taken {
    /// Whether a row is to be taken; if so, it is from now on. Rows of requests without identity always are.
    pub(crate) fn take(&mut self, row: &LoggedRow, ingest_time: Timestamp) -> bool {
        if row.batch.0 == Uuid::nil() {
            return true;
        }
        self.newest = self.newest.max(ingest_time);
        let seen = self.batches.entry(row.batch).or_insert_with(|| Seen {
            ordinals: Ordinals::default(),
            ingest_time,
        });
        seen.ingest_time = seen.ingest_time.max(ingest_time);
        seen.ordinals.add(row.ordinal, row.ordinal)
    }

    /// Takes over what a commit's note tells of a partition.
    pub(crate) fn learn(&mut self, commit: &CommitNotes, partition: u32) {
        let batches = commit
            .notes
            .get(NOTE)
            .and_then(|note| note.get(partition.to_string())?.as_object());
        let ingest_time = commit.committed_at.unwrap_or_default();
        for (batch, ordinals) in batches.into_iter().flatten() {
            let (Ok(batch), Some(ordinals)) = (batch.parse(), Ordinals::of_json(ordinals)) else {
                continue;
            };
            let seen = self.batches.entry(BatchId(batch)).or_insert_with(|| Seen {
                ordinals: Ordinals::default(),
                ingest_time,
            });
            seen.ordinals.add_all(&ordinals);
        }
    }

    /// Forgets batches that cannot be repeated any more; looks through them once in a while only.
    pub(crate) fn expire(&mut self) {
        if self.newest < self.expired_at.saturating_add(LOOK) {
            return;
        }
        self.expired_at = self.newest;
        let before = self.newest.saturating_sub(LASTS);
        self.batches.retain(|_, seen| seen.ingest_time >= before);
    }
}

/// The note of a commit with these rows, given as partition, batch and ordinal; `None` when none of them has an identity.
pub(crate) fn note(rows: impl Iterator<Item = (u32, BatchId, u32)>) -> Option<Json> {
    let mut partitions: BTreeMap<u32, BTreeMap<Uuid, Ordinals>> = BTreeMap::new();
    for (partition, batch, ordinal) in rows.filter(|(_, batch, _)| batch.0 != Uuid::nil()) {
        let batches = partitions.entry(partition).or_default();
        batches.entry(batch.0).or_default().add(ordinal, ordinal);
    }
    let note: Map<String, Json> = partitions
        .into_iter()
        .map(|(partition, batches)| {
            let batches: Map<String, Json> = batches
                .into_iter()
                .map(|(batch, ordinals)| (batch.to_string(), ordinals.to_json()))
                .collect();
            (partition.to_string(), json!(batches))
        })
        .collect();
    (!note.is_empty()).then_some(Json::Object(note))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    fn row(batch: u128, ordinal: u32) -> LoggedRow {
        LoggedRow {
            offset: 0,
            key: Bytes::new(),
            row: Bytes::new(),
            batch: BatchId(Uuid::from_u128(batch)),
            index: ordinal * 3,
            ordinal,
        }
    }

    fn commit(at: i64, batches: &[(u128, u32)]) -> CommitNotes {
        let note = note(
            batches
                .iter()
                .map(|(batch, ordinal)| (0, BatchId(Uuid::from_u128(*batch)), *ordinal)),
        );
        CommitNotes {
            version: 1,
            committed_at: Some(Timestamp::from_micros(at)),
            positions: BTreeMap::new(),
            notes: note.map(|note| (NOTE.to_owned(), note)).into_iter().collect(),
        }
    }

    const NOW: Timestamp = Timestamp::from_micros(0);

    #[test]
    fn a_repeated_attempt_is_left_out_and_goes_on_where_the_first_ended() {
        let mut taken = Taken::default();
        let take = |taken: &mut Taken, batch, ordinal| taken.take(&row(batch, ordinal), NOW);
        assert!(take(&mut taken, 1, 0) && take(&mut taken, 1, 1));
        assert!(!take(&mut taken, 1, 0) && !take(&mut taken, 1, 1) && take(&mut taken, 1, 2));
        assert!(
            take(&mut taken, 2, 0) && take(&mut taken, 2, 2),
            "an attempt has lost a row ..."
        );
        assert!(
            !take(&mut taken, 2, 0) && take(&mut taken, 2, 1) && !take(&mut taken, 2, 2),
            "... and the next one brings it"
        );
        assert!(
            take(&mut taken, 0, 0) && take(&mut taken, 0, 0),
            "rows without identity are never repetitions"
        );
    }

    #[test]
    fn notes_tell_what_was_taken() {
        let mut taken = Taken::default();
        let batches: Vec<(u128, u32)> = (0..8).map(|ordinal| (1, ordinal)).chain([(2, 5), (0, 9)]).collect();
        taken.learn(&commit(5, &batches), 0);
        assert!(!taken.take(&row(1, 7), NOW) && !taken.take(&row(1, 0), NOW));
        assert!(taken.take(&row(1, 8), NOW));
        assert!(!taken.take(&row(2, 5), NOW) && taken.take(&row(2, 4), NOW));
        assert_eq!(note([(0, BatchId(Uuid::nil()), 1)].into_iter()), None);
        let mut other = Taken::default();
        other.learn(&commit(5, &batches), 1);
        assert!(
            other.take(&row(1, 0), NOW),
            "partitions have nothing to do with each other"
        );
    }

    #[test]
    fn batches_are_forgotten_after_a_day_of_the_log() {
        let mut taken = Taken::default();
        let hours = |hours: i64| Timestamp::from_micros(hours * 3_600 * 1_000_000);
        assert!(taken.take(&row(1, 0), hours(0)));
        assert!(taken.take(&row(2, 0), hours(24)));
        taken.expire();
        assert!(!taken.take(&row(1, 0), hours(24)));
        assert!(taken.take(&row(3, 0), hours(50)));
        taken.expire();
        assert!(taken.take(&row(1, 0), hours(50)));
    }

    proptest! {
        /// Attempts of several batches, each with any rows lost and cut off anywhere, interleaved row by row in any way, with restarts of the sink in between that
        /// leave it nothing but the notes of its commits.
        #[test]
        fn of_interleaved_attempts_each_row_is_taken_once(
            attempts in vec((1u128..4, vec(any::<bool>(), 0..12)), 1..8),
            picks in vec(any::<Index>(), 100),
            commits in vec(any::<bool>(), 100),
        ) {
            let mut queues: Vec<(u128, Vec<u32>)> = attempts
                .into_iter()
                .map(|(batch, arrives)| {
                    let mut left: Vec<u32> = (0..).zip(arrives).filter(|(_, arrives)| *arrives).map(|(ordinal, _)| ordinal).collect();
                    left.reverse();
                    (batch, left)
                })
                .filter(|(_, left)| !left.is_empty())
                .collect();
            let mut log = Vec::new();
            for pick in &picks {
                if queues.is_empty() {
                    break;
                }
                let queue = pick.index(queues.len());
                let (batch, left) = &mut queues[queue];
                log.push((*batch, left.pop().expect("not empty")));
                if left.is_empty() {
                    queues.remove(queue);
                }
            }
            let mut oracle = BTreeSet::new();
            let mut taken = Taken::default();
            let mut notes = Vec::new();
            let mut held = Vec::new();
            for ((batch, ordinal), commits) in log.iter().zip(commits) {
                let takes = taken.take(&row(*batch, *ordinal), NOW);
                prop_assert_eq!(takes, oracle.insert((*batch, *ordinal)));
                if takes {
                    held.push((*batch, *ordinal));
                }
                if commits {
                    notes.push(commit(5, &std::mem::take(&mut held)));
                    taken = Taken::default();
                    notes.iter().for_each(|note| taken.learn(note, 0));
                }
            }
        }
    }
}
