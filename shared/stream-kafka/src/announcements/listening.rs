//! The thread that reads a channel's topic for all listeners of the process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use forebay_storage::{Heard, Result, StorageError};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::WHAT;
use crate::{
    KafkaConfig,
    client::{Context, missing_topic, wrong_setting},
    ends::Ends,
    topics::Topics,
};

const TURN: Duration = Duration::from_millis(100);

/// How often the topic is looked at, and not sooner again after an error.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_AFTER_ERROR: Duration = Duration::from_millis(500);

pub(super) struct Listening {
    config: Arc<KafkaConfig>,
    consumer: BaseConsumer<Context>,
    ends: Ends,
    admin: Topics,
    topic: String,
    heard: broadcast::Sender<Heard>,
    stop: Arc<AtomicBool>,
    /// Which topic of the name is read, and the next offset.
    at: (Uuid, u64),
}

impl Listening {
    pub(super) fn new(
        config: Arc<KafkaConfig>,
        admin: Topics,
        topic: String,
        heard: broadcast::Sender<Heard>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        Ok(Self {
            consumer: consumer(&config)?,
            ends: Ends::new(WHAT, &config)?,
            config,
            admin,
            topic,
            heard,
            stop,
            at: (Uuid::nil(), 0),
        })
    }

    /// Goes to the topic's end. Blocks.
    pub(super) fn begin(mut self) -> Result<Self> {
        let (id, _, end) = self.look()?;
        self.go_to(id, end)?;
        Ok(self)
    }

    /// The topic's identity, its first offset and its end.
    fn look(&self) -> Result<(Uuid, u64, u64)> {
        let missing = || missing_topic(WHAT, &self.topic);
        let described = self.admin.describe_blocking(std::slice::from_ref(&self.topic))?;
        let id = described.first().copied().flatten().ok_or_else(missing)?.id;
        let partition = [(&*self.topic, 0)];
        let end = self.ends.last(&partition)?[0].ok_or_else(missing)?;
        let first = self.ends.first(&partition)?[0].ok_or_else(missing)?;
        Ok((id, first, end))
    }

    fn go_to(&mut self, id: Uuid, offset: u64) -> Result<()> {
        let mut list = TopicPartitionList::with_capacity(1);
        let at = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.topic, 0, at)
            .and_then(|()| self.consumer.assign(&list))
            .map_err(|error| StorageError::unavailable(WHAT, error))?;
        self.at = (id, offset);
        Ok(())
    }

    /// Reads until it is told to stop. Blocks: for a thread of its own.
    pub(super) fn run(mut self) {
        let mut looked = Instant::now();
        let mut troubled = false;
        while !self.stop.load(Ordering::Acquire) {
            match self.consumer.poll(TURN) {
                Some(Ok(message)) => {
                    let offset = u64::try_from(message.offset()).unwrap_or_default();
                    if offset >= self.at.1 {
                        self.at.1 = offset + 1;
                        let message = Bytes::copy_from_slice(message.payload().unwrap_or_default());
                        // Nobody listening is no failure.
                        let _ = self.heard.send(Heard::Message(message));
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, topic = self.topic, "a listener met an error");
                    troubled = true;
                }
                None => {}
            }
            let every = if troubled { LOOK_AFTER_ERROR } else { LOOK_EVERY };
            if looked.elapsed() > every {
                looked = Instant::now();
                match self.check(troubled) {
                    Ok(()) => troubled = false,
                    Err(error) => tracing::debug!(%error, "announcements cannot be looked at; it is tried again"),
                }
            }
        }
    }

    /// Goes on at the end when the next offset is not in the topic any more, or the topic is another one.
    fn check(&mut self, troubled: bool) -> Result<()> {
        let (id, first, end) = self.look()?;
        let (at, next) = self.at;
        if id != at || next < first || next > end {
            tracing::warn!(
                topic = self.topic,
                "announcements were lost: listeners ask for the whole"
            );
            // What the old one knows of a topic that was made again leads it nowhere.
            self.consumer = consumer(&self.config)?;
            self.go_to(id, end)?;
            let _ = self.heard.send(Heard::Missed);
        } else if troubled {
            // Some errors end the reading of a partition.
            self.go_to(id, next)?;
        }
        Ok(())
    }
}

fn consumer(config: &KafkaConfig) -> Result<BaseConsumer<Context>> {
    config
        .client()
        // librdkafka assigns partitions only to consumers with a group, though nothing is ever committed to it.
        .set("group.id", "forebay")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.error.backoff.ms", "100")
        .create_with_context(Context::default())
        .map_err(|error| wrong_setting(WHAT, &error))
}
