//! How far the sinks of this process have brought the log into the stores.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use forebay_storage::{Appended, Topic};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

/// One of the two stores that rows go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Store {
    Online,
    Offline,
}

impl Store {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// By partition, the offset up to which a store holds a topic's rows.
type Reached = BTreeMap<u32, u64>;

/// The positions of all sinks. Those who wait for one of them are woken when it moves.
#[derive(Default)]
pub struct Positions {
    reached: Mutex<HashMap<(Store, Topic), watch::Sender<Reached>>>,
    wanted: Mutex<HashMap<Topic, Arc<Notify>>>,
}

impl Positions {
    /// For sinks: readers of the store see all rows of the partition below `next`. A sink says so once when it starts, too.
    pub fn advance(&self, store: Store, topic: Topic, partition: u32, next: u64) {
        self.channel(store, topic, |sender| {
            sender.send_if_modified(|reached| {
                let position = reached.entry(partition).or_default();
                let moved = next > *position;
                *position = next.max(*position);
                moved
            });
        });
    }

    /// Up to where the store holds the partition's rows; `None` while no sink has said so.
    #[must_use]
    pub fn reached(&self, store: Store, topic: Topic, partition: u32) -> Option<u64> {
        self.channel(store, topic, |sender| sender.borrow().get(&partition).copied())
    }

    /// Waits until the store holds all these rows, or the deadline has passed; tells whether it does.
    pub async fn wait(&self, store: Store, topic: Topic, rows: &[Appended], deadline: Instant) -> bool {
        let mut receiver = self.channel(store, topic, watch::Sender::subscribe);
        if store == Store::Offline {
            self.flush_wanted(topic).notify_one();
        }
        let holds = receiver.wait_for(|reached| holds(reached, rows));
        matches!(tokio::time::timeout_at(deadline.into(), holds).await, Ok(Ok(_)))
    }

    /// For the offline sink: told when somebody waits for the topic's rows, so that it commits early.
    #[must_use]
    pub fn flush_wanted(&self, topic: Topic) -> Arc<Notify> {
        self.wanted.lock().entry(topic).or_default().clone()
    }

    fn channel<T>(&self, store: Store, topic: Topic, with: impl FnOnce(&watch::Sender<Reached>) -> T) -> T {
        let mut reached = self.reached.lock();
        with(
            reached
                .entry((store, topic))
                .or_insert_with(|| watch::Sender::new(Reached::new())),
        )
    }
}

fn holds(reached: &Reached, rows: &[Appended]) -> bool {
    rows.iter().all(|rows| {
        reached
            .get(&rows.partition)
            .is_some_and(|next| *next >= rows.first + rows.count)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use forebay_model::{Generation, GroupId};

    use super::*;

    const TOPIC: Topic = Topic {
        group: GroupId(1),
        generation: Generation(0),
    };

    #[tokio::test]
    async fn those_who_wait_are_woken_when_all_partitions_are_there() {
        let positions = Arc::new(Positions::default());
        let rows = [
            Appended {
                partition: 0,
                first: 3,
                count: 2,
            },
            Appended {
                partition: 1,
                first: 0,
                count: 1,
            },
        ];
        let soon = Instant::now() + Duration::from_millis(10);
        assert!(!positions.wait(Store::Offline, TOPIC, &rows, soon).await);
        let late = Instant::now() + Duration::from_secs(60);
        let waiting = tokio::spawn({
            let positions = positions.clone();
            async move { positions.wait(Store::Offline, TOPIC, &rows, late).await }
        });
        positions.flush_wanted(TOPIC).notified().await;
        positions.advance(Store::Offline, TOPIC, 0, 5);
        positions.advance(Store::Offline, TOPIC, 1, 1);
        assert!(waiting.await.expect("no panic"));
        positions.advance(Store::Offline, TOPIC, 0, 4);
        assert_eq!(
            positions.reached(Store::Offline, TOPIC, 0),
            Some(5),
            "a position never goes back"
        );
        assert_eq!(positions.reached(Store::Online, TOPIC, 0), None);
    }
}
