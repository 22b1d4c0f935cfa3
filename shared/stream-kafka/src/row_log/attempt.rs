//! One append on its way: who waits for it, and what the brokers have said of it so far.

use std::sync::atomic::{AtomicUsize, Ordering};

use forebay_storage::Appended;
use parking_lot::Mutex;
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// What became of all records of an append.
pub(crate) type Outcome = Result<Vec<Appended>, RDKafkaErrorCode>;

pub(crate) struct Attempt {
    /// Records that were not told of yet.
    remaining: AtomicUsize,
    state: Mutex<State>,
    /// Room in the queue, given back when all records were told of: they take memory until then, whoever still waits.
    _room: OwnedSemaphorePermit,
}

struct State {
    places: Vec<(u32, u64)>,
    failure: Option<RDKafkaErrorCode>,
    answer: Option<oneshot::Sender<Outcome>>,
}

impl Attempt {
    pub(crate) fn new(records: usize, room: OwnedSemaphorePermit) -> (Self, oneshot::Receiver<Outcome>) {
        let (answer, outcome) = oneshot::channel();
        let attempt = Self {
            remaining: AtomicUsize::new(records),
            state: Mutex::new(State {
                places: Vec::with_capacity(records),
                failure: None,
                answer: Some(answer),
            }),
            _room: room,
        };
        (attempt, outcome)
    }

    /// A record stands at its place.
    pub(crate) fn stands(&self, partition: u32, offset: u64) {
        self.state.lock().places.push((partition, offset));
        self.told(1);
    }

    /// So many records will not be appended, as far as is known.
    pub(crate) fn failed(&self, records: usize, code: RDKafkaErrorCode) {
        self.state.lock().failure.get_or_insert(code);
        self.told(records);
    }

    fn told(&self, records: usize) {
        if self.remaining.fetch_sub(records, Ordering::AcqRel) > records {
            return;
        }
        let mut state = self.state.lock();
        let outcome = match state.failure {
            Some(code) => Err(code),
            None => Ok(ranges(std::mem::take(&mut state.places))),
        };
        if let Some(answer) = state.answer.take() {
            // Whoever asked may have gone; the rows stay.
            let _ = answer.send(outcome);
        }
    }
}

/// Places as ranges of consecutive offsets, by partition and offset.
fn ranges(mut places: Vec<(u32, u64)>) -> Vec<Appended> {
    places.sort_unstable();
    let mut ranges: Vec<Appended> = Vec::new();
    for (partition, offset) in places {
        match ranges.last_mut() {
            Some(last) if last.partition == partition && last.first + last.count == offset => last.count += 1,
            _ => ranges.push(Appended {
                partition,
                first: offset,
                count: 1,
            }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    fn attempt(records: usize) -> (Attempt, oneshot::Receiver<Outcome>) {
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("room");
        Attempt::new(records, room)
    }

    #[tokio::test]
    async fn is_answered_once_when_all_is_told() {
        let (appending, outcome) = attempt(4);
        for (partition, offset) in [(1, 8), (0, 3), (0, 4), (0, 6)] {
            appending.stands(partition, offset);
        }
        let range = |partition, first, count| Appended {
            partition,
            first,
            count,
        };
        let expected = vec![range(0, 3, 2), range(0, 6, 1), range(1, 8, 1)];
        assert_eq!(outcome.await.expect("an answer"), Ok(expected));
    }

    #[tokio::test]
    async fn one_failure_fails_it() {
        let (appending, mut outcome) = attempt(3);
        appending.stands(0, 1);
        appending.failed(1, RDKafkaErrorCode::PurgeQueue);
        assert!(outcome.try_recv().is_err());
        appending.failed(1, RDKafkaErrorCode::Fail);
        assert_eq!(outcome.await.expect("an answer"), Err(RDKafkaErrorCode::PurgeQueue));
    }
}
