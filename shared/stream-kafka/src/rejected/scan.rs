//! One reading of rejected records, with a consumer of its own.

use std::time::{Duration, Instant};

use forebay_model::GroupName;
use forebay_storage::{Rejected, Result, StorageError};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

use super::{PARTITION, WHAT, headers};
use crate::{
    KafkaConfig,
    client::{Context, missing_topic, wrong_setting},
    ends::Ends,
};

/// Bytes of records in one answer.
const MOST_BYTES: usize = 32 << 20;

pub(super) struct Scan {
    consumer: BaseConsumer<Context>,
    topic: String,
    first: u64,
    end: u64,
    deadline: Instant,
    patience: Duration,
}

impl Scan {
    pub(super) fn new(config: &KafkaConfig, topic: String) -> Result<Self> {
        let deadline = Instant::now() + config.request_timeout();
        let ends = Ends::new(WHAT, config)?;
        let partition = [(&*topic, PARTITION)];
        let missing = || missing_topic(WHAT, &topic);
        let end = ends.last(&partition)?[0].ok_or_else(missing)?;
        let first = ends.first(&partition)?[0].ok_or_else(missing)?;
        let consumer = config
            .client()
            // librdkafka assigns partitions only to consumers with a group, though nothing is ever committed to it.
            .set("group.id", "forebay")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.max.bytes", "16777216")
            .create_with_context(Context::default())
            .map_err(|error| wrong_setting(WHAT, &error))?;
        Ok(Self {
            consumer,
            topic,
            first,
            end,
            deadline,
            patience: config.request_timeout(),
        })
    }

    /// Reads records from `from` on, until `each` has had enough or all are read. Tells the offset of the last one that was read, if there are more.
    fn read(&self, from: u64, mut each: impl FnMut(u64, Option<Rejected>) -> bool) -> Result<Option<u64>> {
        let from = from.max(self.first);
        if from >= self.end {
            return Ok(None);
        }
        let mut list = TopicPartitionList::with_capacity(1);
        let at = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.topic, 0, at)
            .and_then(|()| self.consumer.assign(&list))
            .map_err(unavailable)?;
        let mut last = None;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(left.min(Duration::from_millis(100))) {
                Some(Ok(message)) => {
                    let offset = u64::try_from(message.offset()).unwrap_or_default();
                    let enough = each(offset, headers::read(&message));
                    last = Some(offset);
                    if offset + 1 >= self.end {
                        return Ok(None);
                    }
                    // Whoever looks for a group that has few goes on with another call.
                    if enough || left < self.patience / 2 {
                        return Ok(last);
                    }
                }
                Some(Err(error)) => return Err(unavailable(error)),
                None if left.is_zero() => {
                    return match last {
                        Some(last) => Ok(Some(last)),
                        None => Err(StorageError::TimedOut { what: WHAT }),
                    };
                }
                None => {}
            }
        }
    }

    /// Records of a group from `from` on, and the last offset that was looked at, if there are more.
    #[allow(clippy::type_complexity)]
    pub(super) fn list(
        &self,
        group: Option<&GroupName>,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<(u64, Rejected)>, Option<u64>)> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let next = self.read(from, |offset, rejected| {
            if let Some(rejected) = rejected
                && group.is_none_or(|group| *group == rejected.group)
            {
                bytes += rejected.record.value.len();
                found.push((offset, rejected));
            }
            found.len() >= limit || bytes > MOST_BYTES
        })?;
        Ok((found, next))
    }

    pub(super) fn get(&self, offset: u64) -> Result<Option<Rejected>> {
        if offset < self.first {
            return Ok(None);
        }
        let mut found = None;
        self.read(offset, |at, rejected| {
            found = rejected.filter(|_| at == offset);
            true
        })?;
        Ok(found)
    }
}

fn unavailable(error: KafkaError) -> StorageError {
    StorageError::unavailable(WHAT, error)
}
