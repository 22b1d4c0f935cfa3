//! Looks at the ends of partitions that are read, and whether topics are still the same.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use forebay_model::Clock;
use forebay_storage::Topic;
use parking_lot::RwLock;

use super::topic::{End, RowTopic};
use crate::{ends::Ends, topics::Topics};

pub(crate) type KnownTopics = RwLock<HashMap<Topic, Arc<RowTopic>>>;

/// How often the ends are asked for.
const ENDS_EVERY: Duration = Duration::from_millis(250);
/// How often topics are compared with what they were.
const TOPICS_EVERY: Duration = Duration::from_secs(2);

pub(crate) struct Watch {
    pub(crate) topics: Weak<KnownTopics>,
    pub(crate) admin: Topics,
    pub(crate) ends: Ends,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Watch {
    /// Runs until it is told to stop. Blocks: for a thread of its own.
    pub(crate) fn run(self) {
        let mut compared = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            std::thread::sleep(ENDS_EVERY);
            let Some(known) = self.topics.upgrade() else { return };
            let topics: Vec<_> = known
                .read()
                .values()
                .filter(|topic| !topic.is_gone())
                .cloned()
                .collect();
            drop(known);
            let asked_again: Vec<_> = topics.iter().filter(|topic| topic.take_look_again()).cloned().collect();
            if compared.elapsed() > TOPICS_EVERY {
                compared = Instant::now();
                self.compare(&topics);
            } else if !asked_again.is_empty() {
                self.compare(&asked_again);
            }
            self.look_at_ends(&topics);
        }
    }

    /// Marks the topics that are not what they were.
    fn compare(&self, topics: &[Arc<RowTopic>]) {
        let names: Vec<_> = topics.iter().map(|topic| topic.name().to_owned()).collect();
        let described = match self.admin.describe_blocking(&names) {
            Ok(described) => described,
            Err(error) => {
                tracing::debug!(%error, "topics of rows cannot be looked at");
                return;
            }
        };
        for (topic, described) in topics.iter().zip(described) {
            if described.is_none_or(|found| found.id != topic.described.id || found.partitions != topic.partitions()) {
                tracing::warn!(
                    topic = topic.name(),
                    "a topic of rows is not what it was: its sinks stop"
                );
                topic.mark_gone();
            }
        }
    }

    fn look_at_ends(&self, topics: &[Arc<RowTopic>]) {
        let read: Vec<_> = topics
            .iter()
            .flat_map(|topic| topic.watched().into_iter().map(move |partition| (topic, partition)))
            .collect();
        if read.is_empty() {
            return;
        }
        let asked = self.clock.now();
        let partitions: Vec<_> = read
            .iter()
            .map(|(topic, partition)| (topic.name(), *partition))
            .collect();
        match self.ends.last(&partitions) {
            Ok(found) => {
                for ((topic, partition), offset) in read.into_iter().zip(found) {
                    match offset {
                        Some(offset) => topic.set_end(
                            partition,
                            End {
                                offset,
                                asked,
                                at: Instant::now(),
                            },
                        ),
                        None => topic.look_again(),
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "the ends of topics of rows cannot be asked for"),
        }
    }
}
