use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use forebay_catalog::Catalog;
use forebay_model::{Clock, GroupSchema, Timestamp};
use forebay_storage::{Result, SettledTime, Topic};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::Positions;

/// How often the sink is asked again while somebody waits.
const ASK: Duration = Duration::from_millis(50);

/// The settled times of all groups, as the offline sinks find them. A group whose rows come as commits has settled to the present: who commits sets its ingest
/// times.
pub struct SettledTimes {
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    positions: Arc<Positions>,
    topics: Mutex<HashMap<Topic, watch::Sender<Timestamp>>>,
    moved: Mutex<HashSet<Topic>>,
}

impl SettledTimes {
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, clock: Arc<dyn Clock>, positions: Arc<Positions>) -> Self {
        Self {
            catalog,
            clock,
            positions,
            topics: Mutex::default(),
            moved: Mutex::default(),
        }
    }

    /// For the offline sink: the topic has settled to `time`. It never goes back.
    pub fn publish(&self, topic: Topic, time: Timestamp) {
        if self.hear(topic, time) {
            // Others hear of it soon, but not at once: it moves all the time, also while there is nothing to do.
            self.moved.lock().insert(topic);
        }
    }

    /// Takes in what a sink of another process has said; tells whether it was news.
    pub fn hear(&self, topic: Topic, time: Timestamp) -> bool {
        self.with(topic, |sender| {
            sender.send_if_modified(|settled| {
                let later = time > *settled;
                *settled = time.max(*settled);
                later
            })
        })
    }

    /// The settled times that moved here since the last call; with `all`, of all topics whose sinks run in this process.
    pub(crate) fn take_moved(&self, all: bool) -> Vec<(Topic, Timestamp)> {
        let moved = std::mem::take(&mut *self.moved.lock());
        let told: Vec<Topic> = match all {
            true => self.positions.held(),
            false => moved.into_iter().collect(),
        };
        let topics = self.topics.lock();
        told.into_iter()
            .filter_map(|topic| Some((topic, *topics.get(&topic)?.borrow())))
            .collect()
    }

    fn with<T>(&self, topic: Topic, ask: impl FnOnce(&watch::Sender<Timestamp>) -> T) -> T {
        let mut topics = self.topics.lock();
        ask(topics
            .entry(topic)
            .or_insert_with(|| watch::Sender::new(Timestamp::default())))
    }

    fn comes_as_commits(&self, schema: &GroupSchema) -> bool {
        let snapshot = self.catalog.peek();
        snapshot
            .group_by_id(schema.id)
            .is_none_or(|group| !group.uses_row_log())
    }
}

#[async_trait]
impl SettledTime for SettledTimes {
    async fn of(&self, schema: &Arc<GroupSchema>) -> Result<Timestamp> {
        if self.comes_as_commits(schema) {
            return Ok(self.clock.now());
        }
        Ok(self.with(Topic::of(schema), |sender| *sender.borrow()))
    }

    async fn wait(&self, schema: &Arc<GroupSchema>, until: Timestamp, deadline: Instant) -> Result<Timestamp> {
        let topic = Topic::of(schema);
        let mut settled = self.with(topic, watch::Sender::subscribe);
        loop {
            let time = self.of(schema).await?;
            if time >= until || Instant::now() >= deadline {
                return Ok(time);
            }
            self.positions.want_flush(topic);
            let pause = deadline.saturating_duration_since(Instant::now()).min(ASK);
            // Either it has moved or it is time to ask again; both are looked at above.
            let _ = tokio::time::timeout(pause, settled.changed()).await;
        }
    }
}
