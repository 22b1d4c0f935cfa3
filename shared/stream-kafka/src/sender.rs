//! Sends single records and waits for their acknowledgement: announcements, rejected records.

use std::{sync::OnceLock, time::Duration};

use forebay_storage::{Result, StorageError};
use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedHeaders,
    producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer},
};
use tokio::sync::oneshot;

use crate::{
    KafkaConfig,
    client::{Context, storage_error, wrong_setting},
    config::MAX_RECORD_BYTES,
};

/// Room for what stands in headers beside the largest record.
pub(crate) const MAX_SENT_BYTES: usize = MAX_RECORD_BYTES + (256 << 10);

type Told = oneshot::Sender<Result<u64, KafkaError>>;

#[derive(Default)]
struct Deliveries {
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
    type DeliveryOpaque = Box<Mutex<Option<Told>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, told: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(record) => Ok(u64::try_from(record.offset()).unwrap_or_default()),
            Err((error, _)) => Err(error.clone()),
        };
        if let Some(told) = told.lock().take() {
            // Whoever asked may have gone.
            let _ = told.send(outcome);
        }
    }
}

/// A record to send.
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
    pub(crate) headers: Option<OwnedHeaders>,
}

pub(crate) struct Sender {
    what: &'static str,
    config: std::sync::Arc<KafkaConfig>,
    producer: OnceLock<ThreadedProducer<Deliveries>>,
    starting: Mutex<()>,
}

impl Sender {
    pub(crate) fn new(what: &'static str, config: std::sync::Arc<KafkaConfig>) -> Self {
        Self {
            what,
            config,
            producer: OnceLock::new(),
            starting: Mutex::default(),
        }
    }

    fn producer(&self) -> Result<&ThreadedProducer<Deliveries>> {
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        let _starting = self.starting.lock();
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        let producer = self
            .config
            .client()
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("message.timeout.ms", self.config.request_timeout_ms.max(1).to_string())
            .set("message.max.bytes", MAX_SENT_BYTES.to_string())
            .set("compression.type", self.config.compression.as_str())
            // One at a time keeps their order without the ceremony of an idempotent producer.
            .set("max.in.flight.requests.per.connection", "1")
            .create_with_context(Deliveries::default())
            .map_err(|error| wrong_setting(self.what, &error))?;
        Ok(self.producer.get_or_init(|| producer))
    }

    /// Hands a record over; what is returned waits until it is acknowledged, and tells its offset.
    pub(crate) fn send(&self, record: &Outgoing<'_>) -> Result<impl Future<Output = Result<u64>> + Send + 'static> {
        let (told, outcome) = oneshot::channel();
        let mut outgoing = BaseRecord::with_opaque_to(record.topic, Box::new(Mutex::new(Some(told))))
            .partition(0)
            .payload(record.value);
        if let Some(key) = record.key {
            outgoing = outgoing.key(key);
        }
        if let Some(headers) = record.headers.clone() {
            outgoing = outgoing.headers(headers);
        }
        let what = self.what;
        self.producer()?
            .send(outgoing)
            .map_err(|(error, _)| storage_error(what, error))?;
        // librdkafka gives up by itself at the same time; this one guards against it never saying so.
        let patience = self.config.request_timeout() + Duration::from_secs(1);
        Ok(async move {
            match tokio::time::timeout(patience, outcome).await {
                Ok(Ok(Ok(offset))) => Ok(offset),
                Ok(Ok(Err(error))) => Err(match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::MessageTimedOut) => StorageError::TimedOut { what },
                    _ => storage_error(what, error),
                }),
                Ok(Err(_)) => Err(StorageError::Closed { what }),
                Err(_) => Err(StorageError::TimedOut { what }),
            }
        })
    }
}
