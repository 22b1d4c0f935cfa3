//! Offsets under which readers see no record: those of transactions' marks, and of records that were appended in a transaction and withdrawn.

use std::time::{Duration, Instant};

use forebay_storage::{Result, StorageError};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

use crate::{
    KafkaConfig,
    client::{Context, wrong_setting},
    row_log::WHAT,
};

/// Whether no record can be read from `from` up to the partition's end, as of some moment within the call. Blocks.
///
/// A consumer of its own reads this one partition, since librdkafka tells of an end without saying of which topic.
pub(crate) fn is_empty(config: &KafkaConfig, topic: &str, partition: u32, from: u64) -> Result<bool> {
    let failed = |error| StorageError::unavailable(WHAT, error);
    let consumer: BaseConsumer<Context> = config
        .client()
        .set("group.id", "forebay")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("queued.max.messages.kbytes", "1024")
        .create_with_context(Context::default())
        .map_err(|error| wrong_setting(WHAT, &error))?;
    let mut list = TopicPartitionList::with_capacity(1);
    let at = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
    list.add_partition_offset(topic, i32::try_from(partition).unwrap_or(i32::MAX), at)
        .and_then(|()| consumer.assign(&list))
        .map_err(failed)?;
    let deadline = Instant::now() + config.request_timeout();
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(_)) => return Ok(false),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(true),
            Some(Err(error)) => return Err(failed(error)),
            None => {}
        }
    }
    Err(StorageError::TimedOut { what: WHAT })
}
