//! The ingest times of rows on their way into the log, so that a sink knows below which time no row can still appear.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use forebay_model::{Clock, Timestamp};
use forebay_storage::Topic;
use parking_lot::Mutex;

/// Gives out ingest times, and remembers them until their rows are in the log.
pub struct InFlight {
    clock: Arc<dyn Clock>,
    topics: Mutex<HashMap<Topic, Times>>,
}

#[derive(Default)]
struct Times {
    /// How many requests hold each time.
    held: BTreeMap<Timestamp, usize>,
    /// No time below it is given out.
    floor: Timestamp,
}

/// An ingest time that is held until this is dropped: when its rows are in the log, or will never be.
pub struct IngestTime {
    time: Timestamp,
    topic: Topic,
    in_flight: Arc<InFlight>,
}

impl InFlight {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            topics: Mutex::default(),
        }
    }

    /// The present as an ingest time for rows of a topic.
    #[must_use]
    pub fn begin(self: &Arc<Self>, topic: Topic) -> IngestTime {
        let mut topics = self.topics.lock();
        let times = topics.entry(topic).or_default();
        let time = self.clock.now().max(times.floor);
        *times.held.entry(time).or_default() += 1;
        IngestTime {
            time,
            topic,
            in_flight: self.clone(),
        }
    }

    /// The time below which no row of the topic is in flight and none will be. All rows below it are in the log by now: a sink that takes it, then the log's
    /// end, has settled to it once it has come to that end.
    #[must_use]
    pub fn settle(&self, topic: Topic) -> Timestamp {
        let mut topics = self.topics.lock();
        let times = topics.entry(topic).or_default();
        let oldest = times.held.keys().next().copied();
        let settled = oldest.unwrap_or_else(|| self.clock.now()).max(times.floor);
        times.floor = settled;
        settled
    }
}

impl IngestTime {
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }
}

impl Drop for IngestTime {
    fn drop(&mut self) {
        let mut topics = self.in_flight.topics.lock();
        let held = &mut topics.entry(self.topic).or_default().held;
        if let Some(count) = held.get_mut(&self.time) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.time);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use forebay_model::{Duration, Generation, GroupId, ManualClock};

    use super::*;

    #[test]
    fn what_is_settled_stays_settled() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(10)));
        let in_flight = Arc::new(InFlight::new(clock.clone()));
        let topic = Topic {
            group: GroupId(1),
            generation: Generation(0),
        };
        let first = in_flight.begin(topic);
        clock.advance(Duration::from_micros(5));
        let second = in_flight.begin(topic);
        assert_eq!((first.time().micros(), second.time().micros()), (10, 15));
        assert_eq!(in_flight.settle(topic).micros(), 10);
        drop(first);
        assert_eq!(in_flight.settle(topic).micros(), 15);
        drop(second);
        clock.advance(Duration::from_micros(5));
        assert_eq!(in_flight.settle(topic).micros(), 20);
        clock.set(Timestamp::from_micros(3));
        assert_eq!(
            in_flight.begin(topic).time().micros(),
            20,
            "a clock that is set back gives no time below the settled one"
        );
    }
}
