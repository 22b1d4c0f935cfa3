//! The first and last offsets of partitions, many in one question.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use forebay_storage::Result;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaResult, RDKafkaErrorCode},
};

use crate::{
    KafkaConfig,
    client::{Context, is_unknown_topic, storage_error, wrong_setting},
};

/// Brokers that have not heard of a topic yet are asked again for so long.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_millis(20);

pub(crate) struct Ends {
    what: &'static str,
    consumer: BaseConsumer<Context>,
    timeout: Duration,
}

impl Ends {
    /// Of what readers see: up to the first record of a transaction that is still open.
    pub(crate) fn new(what: &'static str, config: &KafkaConfig) -> Result<Self> {
        Self::with(what, config, "read_committed")
    }

    /// Of everything that was appended.
    pub(crate) fn of_everything(what: &'static str, config: &KafkaConfig) -> Result<Self> {
        Self::with(what, config, "read_uncommitted")
    }

    fn with(what: &'static str, config: &KafkaConfig, isolation: &str) -> Result<Self> {
        let consumer = config
            .client()
            .set("isolation.level", isolation)
            .create_with_context(Context::default())
            .map_err(|error| wrong_setting(what, &error))?;
        Ok(Self {
            what,
            consumer,
            timeout: config.request_timeout(),
        })
    }

    /// The offset after the last record of each partition, as of some moment within the call; `None` for a partition that is not there.
    /// Blocks.
    pub(crate) fn last(&self, partitions: &[(&str, u32)]) -> Result<Vec<Option<u64>>> {
        self.ask(partitions, Offset::End)
    }

    /// The first offset that is still held of each partition. Blocks.
    pub(crate) fn first(&self, partitions: &[(&str, u32)]) -> Result<Vec<Option<u64>>> {
        self.ask(partitions, Offset::Beginning)
    }

    /// The first offset of each partition whose record was appended at `millis` (since 1970) or later; `None` where there is none, and for a partition that is
    /// not there. Blocks.
    pub(crate) fn at(&self, partitions: &[(&str, u32)], millis: i64) -> Result<Vec<Option<u64>>> {
        self.ask(partitions, Offset::Offset(millis.max(0)))
    }

    fn ask(&self, partitions: &[(&str, u32)], which: Offset) -> Result<Vec<Option<u64>>> {
        let began = Instant::now();
        loop {
            let failed = match self.ask_once(partitions, which) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let patience = match failed.rdkafka_error_code() {
                Some(code) if is_unknown_topic(code) => UNKNOWN_FOR.min(self.timeout),
                Some(code) if is_passing(code) => self.timeout,
                _ => return Err(storage_error(self.what, failed)),
            };
            if began.elapsed() >= patience {
                return match failed.rdkafka_error_code() {
                    Some(code) if is_unknown_topic(code) => self.ask_each(partitions, which),
                    _ => Err(storage_error(self.what, failed)),
                };
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }

    /// Finds out which of several partitions is not there.
    fn ask_each(&self, partitions: &[(&str, u32)], which: Offset) -> Result<Vec<Option<u64>>> {
        let ask = |partition: &(&str, u32)| match self.ask_once(&[*partition], which) {
            Ok(found) => Ok(found.first().copied().flatten()),
            Err(error) if error.rdkafka_error_code().is_some_and(is_unknown_topic) => Ok(None),
            Err(error) => Err(storage_error(self.what, error)),
        };
        partitions.iter().map(ask).collect()
    }

    fn ask_once(&self, partitions: &[(&str, u32)], which: Offset) -> KafkaResult<Vec<Option<u64>>> {
        let number = |partition: u32| i32::try_from(partition).unwrap_or(i32::MAX);
        // Serves what the client has to say on its own; no record ever comes.
        while self.consumer.poll(Duration::ZERO).is_some() {}
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            list.add_partition_offset(topic, number(*partition), which)?;
        }
        let answer = self.consumer.offsets_for_times(list, self.timeout)?;
        let mut found = HashMap::with_capacity(partitions.len());
        for element in answer.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                let key = (element.topic().to_owned(), element.partition());
                found.insert(key, u64::try_from(offset).unwrap_or_default());
            }
        }
        Ok(partitions
            .iter()
            .map(|(topic, partition)| found.get(&((*topic).to_owned(), number(*partition))).copied())
            .collect())
    }
}

/// Whether another try is all it takes: leaders move, and those of a topic just made are not known everywhere.
fn is_passing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::ReplicaNotAvailable
            | RDKafkaErrorCode::FencedLeaderEpoch
            | RDKafkaErrorCode::UnknownLeaderEpoch
            | RDKafkaErrorCode::OffsetNotAvailable
            | RDKafkaErrorCode::KafkaStorageError
    )
}
