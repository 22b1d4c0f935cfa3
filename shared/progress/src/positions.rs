use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use forebay_storage::{Appended, Topic};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::{Reached, Store};

/// By partition, the offset up to which a store holds a topic's rows.
type Offsets = BTreeMap<u32, u64>;

/// The positions of all sinks. Those who wait for one of them are woken when it moves.
#[derive(Default)]
pub struct Positions {
    reached: Mutex<HashMap<(Store, Topic), watch::Sender<Offsets>>>,
    wanted: Mutex<HashMap<Topic, Arc<Notify>>>,
    news: Mutex<News>,
    /// Told when there is something that other processes should hear.
    pub(crate) has_news: Notify,
}

/// What other processes should hear.
#[derive(Default)]
struct News {
    /// The topics whose sinks run in this process.
    held: HashSet<Topic>,
    moved: HashSet<(Store, Topic)>,
    flush_wanted: HashSet<Topic>,
}

impl Positions {
    /// For sinks: readers of the store see all rows of the partition below `next`. A sink says so once when it starts, too.
    pub fn advance(&self, store: Store, topic: Topic, partition: u32, next: u64) {
        if self.hear(store, topic, partition, next) {
            self.news.lock().moved.insert((store, topic));
            self.has_news.notify_one();
        }
    }

    /// Takes in what a sink of another process has said; tells whether it was news. A position never goes back.
    pub fn hear(&self, store: Store, topic: Topic, partition: u32, next: u64) -> bool {
        self.channel(store, topic, |sender| {
            sender.send_if_modified(|reached| {
                let known = reached.insert(partition, next);
                let moved = known.is_none_or(|known| next > known);
                if let Some(known) = known {
                    reached.insert(partition, known.max(next));
                }
                moved
            })
        })
    }

    /// The sinks of a topic run in this process from now on, or no longer.
    pub fn hold(&self, topic: Topic, holds: bool) {
        let mut news = self.news.lock();
        match holds {
            true => news.held.insert(topic),
            false => news.held.remove(&topic),
        };
    }

    /// Whether the sinks of a topic run in this process.
    #[must_use]
    pub fn holds(&self, topic: Topic) -> bool {
        self.news.lock().held.contains(&topic)
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
            self.want_flush(topic);
        }
        let holds = receiver.wait_for(|reached| holds(reached, rows));
        matches!(tokio::time::timeout_at(deadline.into(), holds).await, Ok(Ok(_)))
    }

    /// Asks the offline sink of a topic, wherever it runs, to commit early.
    pub fn want_flush(&self, topic: Topic) {
        let mut news = self.news.lock();
        if news.held.contains(&topic) {
            drop(news);
            self.flush_wanted(topic).notify_one();
        } else {
            news.flush_wanted.insert(topic);
            drop(news);
            // A sink that has just begun here hears of it, too.
            self.flush_wanted(topic).notify_one();
            self.has_news.notify_one();
        }
    }

    /// For the offline sink: told when somebody waits for the topic's rows, so that it commits early.
    #[must_use]
    pub fn flush_wanted(&self, topic: Topic) -> Arc<Notify> {
        self.wanted.lock().entry(topic).or_default().clone()
    }

    /// The topics whose sinks run here.
    pub(crate) fn held(&self) -> Vec<Topic> {
        self.news.lock().held.iter().copied().collect()
    }

    /// What has moved here since the last call; with `all`, how far all sinks of this process are.
    pub(crate) fn take_moved(&self, all: bool) -> Vec<Reached> {
        let moved: Vec<(Store, Topic)> = {
            let mut news = self.news.lock();
            let moved = std::mem::take(&mut news.moved);
            if all {
                let held = news.held.iter();
                held.flat_map(|topic| [(Store::Online, *topic), (Store::Offline, *topic)])
                    .collect()
            } else {
                moved.into_iter().collect()
            }
        };
        let reached = self.reached.lock();
        let offsets = moved.into_iter().filter_map(|(store, topic)| {
            let offsets = reached.get(&(store, topic))?.borrow().clone();
            (!offsets.is_empty()).then(|| Reached {
                topic,
                store,
                partitions: offsets.into_iter().collect(),
            })
        });
        offsets.collect()
    }

    pub(crate) fn take_flush_wanted(&self) -> Vec<Topic> {
        std::mem::take(&mut self.news.lock().flush_wanted).into_iter().collect()
    }

    fn channel<T>(&self, store: Store, topic: Topic, with: impl FnOnce(&watch::Sender<Offsets>) -> T) -> T {
        let mut reached = self.reached.lock();
        with(
            reached
                .entry((store, topic))
                .or_insert_with(|| watch::Sender::new(Offsets::new())),
        )
    }
}

fn holds(reached: &Offsets, rows: &[Appended]) -> bool {
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
        positions.hear(Store::Offline, TOPIC, 1, 1);
        assert!(waiting.await.expect("no panic"));
        positions.advance(Store::Offline, TOPIC, 0, 4);
        assert_eq!(
            positions.reached(Store::Offline, TOPIC, 0),
            Some(5),
            "a position never goes back"
        );
        assert_eq!(positions.reached(Store::Online, TOPIC, 0), None);
    }

    #[test]
    fn others_hear_what_has_moved_here_and_all_of_it_again() {
        let positions = Positions::default();
        positions.hold(TOPIC, true);
        positions.advance(Store::Online, TOPIC, 0, 0);
        positions.hear(Store::Offline, TOPIC, 0, 7);
        let moved = positions.take_moved(false);
        assert_eq!(moved.len(), 1, "what others have said is not said again");
        assert_eq!(
            (moved[0].store, &moved[0].partitions[..]),
            (Store::Online, &[(0, 0)][..])
        );
        assert_eq!(positions.take_moved(false), []);
        assert_eq!(positions.take_moved(true).len(), 2);
        positions.want_flush(TOPIC);
        assert_eq!(positions.take_flush_wanted(), [], "its sink runs here");
        positions.hold(TOPIC, false);
        positions.want_flush(TOPIC);
        assert_eq!(positions.take_flush_wanted(), [TOPIC]);
        assert_eq!(positions.take_moved(true), []);
    }
}
