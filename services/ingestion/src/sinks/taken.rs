//! Which rows of which batches a sink has taken, so that those of a repeated attempt are left out.
//!
//! Attempts of one batch may come one after the other or at the same time, from several processes, so that their rows stand between one another in a partition;
//! each of them may end anywhere, and may have lost rows in the middle. What does not change is a row's ordinal among the rows of its batch in its partition:
//! of all rows with one ordinal the first is taken. Both sinks look at the same rows in the same order, and so leave out the same ones, whatever their pace.
//!
//! Memory is bounded although a batch may be repeated for a day, and a row of a paused process may come still later. A batch's identity tells when it was first
//! sent. Batches are forgotten in the order of these moments, whatever the order in which they came, and it is remembered up to which moment: a batch of a later
//! moment that is not in memory has never been there, so that its rows are the first ones; that needs no clock and no bound on pauses. What the rows of an
//! earlier one are the sink cannot know: it looks in the commits and the log ([`super::recall`]) before it takes any of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use forebay_model::{Duration, Timestamp};
use forebay_storage::{BatchId, LoggedRow};
use uuid::Uuid;

use super::{
    batch_table::BatchTable,
    ordinals::Ordinals,
    remembered::{Remembered, Share},
};

/// How long a batch is remembered, if there is room: its claim lasts a day, and clocks may be apart.
pub(crate) const LASTS: Duration = Duration::from_micros(25 * 3_600 * 1_000_000);
/// By how much the clocks of processes and of the log may be apart: what is noted or appended later than a moment is that long after it at most.
pub(crate) const APART: Duration = Duration::from_micros(3_600 * 1_000_000);
/// How often, in the time of the log, it is looked for batches without a moment to forget.
const LOOK: Duration = Duration::from_micros(60_000_000);
/// What a batch without a moment takes.
const UNDATED_BYTES: usize = 192;

/// The batches of one sink in one partition.
#[derive(Debug)]
pub(crate) struct Taken {
    batches: BatchTable,
    /// Batches first sent up to then may be forgotten, those first sent later are not.
    forgotten: Timestamp,
    /// Batches whose identity tells no moment: not those of requests, but of what computations write into groups without history, where a repetition changes
    /// nothing, and of others. They are remembered for as long, as far as there is room.
    undated: HashMap<BatchId, Seen>,
    /// The time that the log has come to: what may be forgotten is told by it and not by the clock, since a sink may be days behind.
    newest: Timestamp,
    looked_at: Timestamp,
    share: Share,
}

#[derive(Debug, Clone)]
struct Seen {
    ordinals: Ordinals,
    ingest_time: Timestamp,
}

impl Taken {
    /// For a sink that learns of everything since `since`, and that has a share of what the process may remember.
    pub(crate) fn new(remembered: &Arc<Remembered>, since: Timestamp) -> Self {
        Self {
            batches: BatchTable::default(),
            // What was noted or appended before `since` was first sent before this.
            forgotten: since.saturating_add(APART),
            undated: HashMap::new(),
            newest: Timestamp::MIN,
            looked_at: Timestamp::MIN,
            share: remembered.share(),
        }
    }

    /// The batches of these rows that the sink has met or not, it does not remember: it is to recall them before it takes any of the rows.
    pub(crate) fn unknown(&self, rows: &[LoggedRow]) -> BTreeSet<BatchId> {
        let old = rows.iter().map(|row| row.batch).filter(|batch| {
            batch.moment().is_some_and(|moment| moment <= self.forgotten) && !self.batches.contains(*batch)
        });
        old.collect()
    }

    /// Takes over what was recalled of batches.
    pub(crate) fn recollect(&mut self, recalled: &BTreeMap<BatchId, Ordinals>) {
        for (batch, ordinals) in recalled {
            self.batches.add_all(*batch, ordinals);
        }
    }

    /// Whether a row is to be taken; if so, it is from now on. Rows of requests without identity always are.
    pub(crate) fn take(&mut self, row: &LoggedRow, ingest_time: Timestamp) -> bool {
        if row.batch.0 == Uuid::nil() {
            return true;
        }
        self.newest = self.newest.max(ingest_time);
        if row.batch.moment().is_some() {
            return self.batches.add(row.batch, row.ordinal, row.ordinal);
        }
        let seen = self.seen(row.batch, ingest_time);
        seen.ingest_time = seen.ingest_time.max(ingest_time);
        seen.ordinals.add(row.ordinal, row.ordinal)
    }

    /// Takes over what a commit notes of the partition.
    pub(crate) fn learn(&mut self, noted: &[(BatchId, Ordinals)], committed_at: Timestamp) {
        for (batch, ordinals) in noted {
            match batch.moment() {
                Some(_) => self.batches.add_all(*batch, ordinals),
                None => self.seen(*batch, committed_at).ordinals.add_all(ordinals),
            }
        }
    }

    fn seen(&mut self, batch: BatchId, ingest_time: Timestamp) -> &mut Seen {
        self.undated.entry(batch).or_insert_with(|| Seen {
            ordinals: Ordinals::default(),
            ingest_time,
        })
    }

    /// Forgets batches that are not repeated any more, and the oldest of the others while they take too much memory. What is forgotten must be found again: all
    /// rows that were taken stand in the log before the place that it is read from next, or in commits.
    pub(crate) fn forget(&mut self) {
        let before = self.newest.saturating_sub(LASTS);
        while let Some(first) = self.batches.first().filter(|first| first.moment() < Some(before)) {
            self.forget_first(first);
        }
        if self.newest >= self.looked_at.saturating_add(LOOK) {
            self.looked_at = self.newest;
            self.undated.retain(|_, seen| seen.ingest_time >= before);
        }
        self.weigh();
        while self.share.is_over()
            && let Some(first) = self.batches.first()
        {
            self.forget_first(first);
            self.weigh();
        }
        if self.share.is_over() && !self.undated.is_empty() {
            let mut times: Vec<Timestamp> = self.undated.values().map(|seen| seen.ingest_time).collect();
            let middle = times.len() / 2;
            let middle = *times.select_nth_unstable(middle).1;
            self.undated.retain(|_, seen| seen.ingest_time > middle);
            self.weigh();
        }
    }

    fn forget_first(&mut self, first: BatchId) {
        self.batches.remove(first);
        self.forgotten = self.forgotten.max(first.moment().unwrap_or(Timestamp::MIN));
    }

    /// Tells how much memory is in use.
    pub(crate) fn weigh(&mut self) {
        self.share
            .set(self.batches.bytes() + self.undated.len() * UNDATED_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_764_000_000_000_000);

    fn at(seconds: i64) -> Timestamp {
        NOW.saturating_add(Duration::from_micros(seconds * 1_000_000))
    }

    /// First sent so many seconds after [`NOW`].
    fn dated(seconds: i64) -> BatchId {
        BatchId::of(at(seconds), 7)
    }

    fn undated(number: u128) -> BatchId {
        BatchId(Uuid::from_u128(number))
    }

    fn row(batch: BatchId, ordinal: u32) -> LoggedRow {
        LoggedRow {
            offset: 0,
            key: Bytes::new(),
            row: Bytes::new(),
            batch,
            index: ordinal * 3,
            ordinal,
        }
    }

    fn taken(limit: usize) -> Taken {
        Taken::new(&Arc::new(Remembered::new(limit)), at(-25 * 3_600))
    }

    #[test]
    fn a_repeated_attempt_is_left_out_and_goes_on_where_the_first_ended() {
        for batch in [dated as fn(i64) -> BatchId, |number| {
            undated(number.cast_unsigned().into())
        }] {
            let mut taken = taken(usize::MAX);
            let mut take = |number, ordinal| taken.take(&row(batch(number), ordinal), NOW);
            assert!(take(1, 0) && take(1, 1));
            assert!(!take(1, 0) && !take(1, 1) && take(1, 2));
            assert!(take(2, 0) && take(2, 2), "an attempt has lost a row ...");
            assert!(
                !take(2, 0) && take(2, 1) && !take(2, 2),
                "... and the next one brings it"
            );
        }
        let mut taken = taken(usize::MAX);
        let nobody = row(undated(0), 0);
        assert!(
            taken.take(&nobody, NOW) && taken.take(&nobody, NOW),
            "rows without identity are never repetitions"
        );
    }

    #[test]
    fn notes_tell_what_was_taken() {
        for (one, other) in [(dated(1), dated(2)), (undated(1), undated(2))] {
            let mut taken = taken(usize::MAX);
            let mut alone = Ordinals::default();
            alone.add(5, 5);
            taken.learn(&[(one, Ordinals::up_to(8)), (other, alone)], NOW);
            assert!(!taken.take(&row(one, 7), NOW) && !taken.take(&row(one, 0), NOW));
            assert!(taken.take(&row(one, 8), NOW));
            assert!(!taken.take(&row(other, 5), NOW) && taken.take(&row(other, 4), NOW));
        }
    }

    #[test]
    fn batches_are_forgotten_after_a_day_of_the_log_and_recalled_when_they_come_back() {
        let hour = 3_600;
        let mut taken = taken(usize::MAX);
        assert!(taken.take(&row(dated(0), 0), at(0)) && taken.take(&row(undated(1), 0), at(0)));
        assert!(taken.take(&row(dated(24 * hour), 0), at(24 * hour)));
        taken.forget();
        let old = [row(dated(0), 0), row(undated(1), 0)];
        assert!(taken.unknown(&old).is_empty() && !taken.take(&old[0], at(24 * hour)));
        assert!(taken.take(&row(dated(50 * hour), 0), at(50 * hour)));
        taken.forget();
        assert_eq!(taken.unknown(&old), BTreeSet::from([dated(0)]));
        assert!(taken.take(&old[1], at(50 * hour)));
        taken.recollect(&BTreeMap::from([(dated(0), Ordinals::up_to(1))]));
        assert!(!taken.take(&old[0], at(50 * hour)) && taken.take(&row(dated(0), 1), at(50 * hour)));
        assert!(
            taken.unknown(&[row(dated(-2 * hour), 0)]).len() == 1,
            "what is still older was forgotten before"
        );
    }

    #[test]
    fn memory_has_a_bound() {
        let remembered = Arc::new(Remembered::new(100_000));
        let mut sinks = [
            Taken::new(&remembered, NOW),
            Taken::new(&remembered, NOW),
            Taken::new(&remembered, NOW),
        ];
        for second in 0..20_000 {
            for taken in &mut sinks[..2] {
                assert!(taken.take(&row(dated(second + 3_600), 0), at(second)));
                assert!(taken.take(&row(undated(second.cast_unsigned().into()), 0), at(second)) || second == 0);
                taken.forget();
            }
            sinks.iter_mut().for_each(Taken::forget);
            assert!(remembered.used() <= 100_000, "{} at {second}", remembered.used());
        }
        assert!(remembered.used() > 50_000, "{}", remembered.used());
        drop(sinks);
        assert_eq!(remembered.used(), 0);
    }

    proptest! {
        /// Attempts of several batches, each with any rows lost and cut off anywhere, interleaved row by row in any way, by a sink that forgets at any time, since
        /// it has hardly any room or begins anew, and recalls what the log held up to then.
        #[test]
        fn of_interleaved_attempts_each_row_is_taken_once(
            attempts in vec((1i64..5, vec(any::<bool>(), 0..12)), 1..8),
            picks in vec(any::<Index>(), 100),
            forgets in vec(0..4, 100),
            room in 0usize..400,
        ) {
            let mut queues: Vec<(i64, Vec<u32>)> = attempts
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
            let remembered = Arc::new(Remembered::new(room));
            let mut taken = Taken::new(&remembered, at(-3_600));
            let recall = |oracle: &BTreeSet<(i64, u32)>, wanted: &BTreeSet<BatchId>| {
                let mut recalled: BTreeMap<BatchId, Ordinals> = BTreeMap::new();
                for (batch, ordinal) in oracle.iter().filter(|(batch, _)| wanted.contains(&dated(*batch))) {
                    recalled.entry(dated(*batch)).or_default().add(*ordinal, *ordinal);
                }
                recalled
            };
            for ((batch, ordinal), forgets) in log.into_iter().zip(forgets) {
                let row = row(dated(batch), ordinal);
                let wanted = taken.unknown(std::slice::from_ref(&row));
                taken.recollect(&recall(&oracle, &wanted));
                prop_assert_eq!(taken.take(&row, NOW), oracle.insert((batch, ordinal)));
                match forgets {
                    0 => taken.forget(),
                    1 => {
                        // It begins anew: of what is older than the third it learns nothing.
                        taken = Taken::new(&remembered, at(3 - 3_600));
                        let newer = (4..5).map(dated).collect();
                        taken.learn(&recall(&oracle, &newer).into_iter().collect::<Vec<_>>(), NOW);
                        taken.forget();
                    }
                    _ => {}
                }
            }
        }
    }
}
