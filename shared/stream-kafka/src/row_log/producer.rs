//! The producer of rows: idempotent, and without gaps.
//!
//! Sinks recognise a repeated attempt by how far the first one came in each partition. So of an attempt that fails only its first rows in a partition may
//! stand in the log, never a later one without those before it. Therefore no record has a timeout of its own (librdkafka would give up one and deliver the
//! next), and an error that would leave a gap ends the producer: what it holds fails, and another takes its place. Whoever waits for an append has a deadline,
//! while its records go on in their order; they appear late, or not at all.

use std::{sync::Arc, time::Duration};

use forebay_storage::{Appended, Result, StorageError};
use parking_lot::{Mutex, RwLock};
use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};
use tokio::sync::Semaphore;

use super::{
    WHAT,
    attempt::Attempt,
    encode::Records,
    origin::{TraceHeaders, headers},
    topic::RowTopic,
};
use crate::{
    KafkaConfig,
    client::{Context, is_unknown_topic, wrong_setting},
    config::MAX_RECORD_BYTES,
};

/// How long an append waits for room before it is refused.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(500);

pub(crate) struct RowProducer {
    client: ClientConfig,
    producer: RwLock<Arc<ThreadedProducer<Deliveries>>>,
    /// One at a time replaces a producer that has ended.
    replacing: Mutex<()>,
    room: Arc<Semaphore>,
    room_bytes: u32,
    timeout: Duration,
}

/// What is told of a record.
pub(crate) struct Sent {
    attempt: Arc<Attempt>,
    topic: Arc<RowTopic>,
    partition: u32,
}

#[derive(Default)]
pub(crate) struct Deliveries {
    context: Context,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        sent.topic.flight(sent.partition).landed();
        match result {
            Ok(record) => {
                let offset = u64::try_from(record.offset()).unwrap_or_default();
                if sent.topic.takes(sent.partition, offset) {
                    sent.attempt.stands(sent.partition, offset);
                } else {
                    sent.attempt.failed(1, RDKafkaErrorCode::UnknownTopicId);
                }
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                sent.attempt.failed(1, code);
            }
        }
    }
}

impl RowProducer {
    pub(crate) fn new(config: &KafkaConfig) -> Result<Self> {
        let mut client = config.client();
        client
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            // No end: see the module.
            .set("message.timeout.ms", "0")
            .set("request.timeout.ms", "15000")
            .set("linger.ms", "2")
            .set("batch.size", "1000000")
            .set("message.max.bytes", MAX_RECORD_BYTES.to_string())
            .set("compression.type", config.compression.as_str())
            // What may wait is counted here, in bytes; librdkafka's own bounds stand above it.
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", "2097151");
        let room_bytes = u32::try_from(config.append_bytes.min(1 << 30)).unwrap_or(1 << 30);
        Ok(Self {
            producer: RwLock::new(Arc::new(start(&client)?)),
            replacing: Mutex::default(),
            client,
            room: Arc::new(Semaphore::new(room_bytes as usize)),
            room_bytes,
            timeout: config.append_timeout(),
        })
    }

    /// Appends the records and waits until all are acknowledged.
    pub(crate) async fn append(
        &self,
        topic: &Arc<RowTopic>,
        records: Records,
        trace: Option<&TraceHeaders>,
    ) -> Result<Vec<Appended>> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        self.check_reachable(topic, &records)?;
        let weight = u32::try_from(records.weight()).unwrap_or(u32::MAX).min(self.room_bytes);
        let room = self.room.clone().acquire_many_owned(weight);
        let Ok(room) = tokio::time::timeout(WAIT_FOR_ROOM.min(self.timeout), room).await else {
            self.check_reachable(topic, &records)?;
            return Err(StorageError::Full { what: WHAT });
        };
        let room = room.map_err(|_| StorageError::Closed { what: WHAT })?;
        let (attempt, outcome) = Attempt::new(records.records.len(), room);
        self.send(topic, &records, trace, &Arc::new(attempt))?;
        match tokio::time::timeout_at(deadline, outcome).await {
            Ok(Ok(Ok(appended))) => Ok(appended),
            Ok(Ok(Err(code))) if is_unknown_topic(code) => {
                topic.look_again();
                Err(topic.gone())
            }
            Ok(Ok(Err(code))) => Err(StorageError::unavailable(WHAT, KafkaError::MessageProduction(code))),
            Ok(Err(_)) => Err(StorageError::Closed { what: WHAT }),
            Err(_) => Err(StorageError::TimedOut { what: WHAT }),
        }
    }

    /// Bytes that wait for their acknowledgement, and how many may.
    pub(crate) fn fill(&self) -> (u64, u64) {
        let bound = u64::from(self.room_bytes);
        (bound.saturating_sub(self.room.available_permits() as u64), bound)
    }

    /// Refuses at once what would only wait behind records that get no answer. Those are what finds the brokers again.
    fn check_reachable(&self, topic: &RowTopic, records: &Records) -> Result<()> {
        let mut partitions = records.records.iter().map(|record| record.partition);
        if partitions.any(|partition| topic.flight(partition).is_stuck(self.timeout)) {
            return Err(StorageError::unavailable(
                WHAT,
                KafkaError::MessageProduction(RDKafkaErrorCode::AllBrokersDown),
            ));
        }
        Ok(())
    }

    /// Hands the records to librdkafka, those of a partition in their order and next to each other.
    fn send(
        &self,
        topic: &Arc<RowTopic>,
        records: &Records,
        trace: Option<&TraceHeaders>,
        attempt: &Arc<Attempt>,
    ) -> Result<()> {
        let producer = self.producer()?;
        let _turn = topic.turn.lock();
        for (index, record) in records.records.iter().enumerate() {
            let sent = Sent {
                attempt: attempt.clone(),
                topic: topic.clone(),
                partition: record.partition,
            };
            let partition = i32::try_from(record.partition).unwrap_or(i32::MAX);
            topic.flight(record.partition).sent();
            let queued = producer.send(
                BaseRecord::with_opaque_to(topic.name(), Box::new(sent))
                    .partition(partition)
                    .key(records.key(record))
                    .payload(records.value(record))
                    .headers(headers(record.identity, trace)),
            );
            if let Err((error, _)) = queued {
                // What was queued stands before what was not.
                topic.flight(record.partition).landed();
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                attempt.failed(records.records.len() - index, code);
                break;
            }
        }
        Ok(())
    }

    /// The producer, after replacing one that has ended.
    fn producer(&self) -> Result<Arc<ThreadedProducer<Deliveries>>> {
        let current = self.producer.read().clone();
        if current.client().fatal_error().is_none() {
            return Ok(current);
        }
        let _replacing = self.replacing.lock();
        let current = self.producer.read().clone();
        if let Some((code, reason)) = current.client().fatal_error() {
            tracing::warn!(%code, "the producer of rows has ended and another takes its place: {reason}");
            let old = std::mem::replace(&mut *self.producer.write(), Arc::new(start(&self.client)?));
            // What it still holds fails when it goes, which takes a moment.
            std::thread::spawn(move || drop(old));
        }
        Ok(self.producer.read().clone())
    }
}

fn start(client: &ClientConfig) -> Result<ThreadedProducer<Deliveries>> {
    client
        .create_with_context(Deliveries::default())
        .map_err(|error| wrong_setting(WHAT, &error))
}

#[cfg(test)]
impl RowProducer {
    /// What an error that would leave a gap does to the producer.
    #[allow(unsafe_code)]
    pub(crate) fn fail_fatally(&self) {
        use rdkafka::{bindings, types::RDKafkaRespErr};
        let producer = self.producer.read().clone();
        let code = RDKafkaRespErr::RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE;
        // SAFETY: the producer lives through the call, and the text for ever.
        unsafe { bindings::rd_kafka_test_fatal_error(producer.client().native_ptr(), code, c"a test".as_ptr()) };
    }
}
