//! What librdkafka says on its own, and what its errors mean.

use std::sync::atomic::{AtomicBool, Ordering};

use forebay_storage::StorageError;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

/// Passes logs on, and remembers that something happened which asks for another look at the topics.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Set when the client met an error; whoever looks into it takes it back.
    pub(crate) disturbed: AtomicBool,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // That a broker cannot be reached is told to whoever asked for something; the client's own view of it is for those who look for the cause.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "{message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::debug!(facility, "{message}"),
            _ => tracing::trace!(facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.disturbed.store(true, Ordering::Relaxed);
        tracing::debug!(%error, "{reason}");
    }
}

impl ConsumerContext for Context {}

/// Why a client could not be started: it asks no broker for it, so its settings are wrong. The value of a setting is not told, it may be a secret.
pub(crate) fn wrong_setting(what: &'static str, error: &KafkaError) -> StorageError {
    let detail = match error {
        KafkaError::ClientConfig(_, reason, setting, _) => format!("{setting}: {reason}"),
        other => other.to_string(),
    };
    StorageError::Misconfigured {
        what,
        detail: format!("the settings in [kafka] are wrong: {detail}"),
    }
}

/// A topic that [`migrate`](crate::migrate) makes is not there. It may still be made: whoever waits for brokers waits for it too.
pub(crate) fn missing_topic(what: &'static str, topic: &str) -> StorageError {
    StorageError::unavailable(what, MissingTopic(topic.to_owned()))
}

#[derive(Debug, thiserror::Error)]
#[error("topic {0} does not exist; run `forebay migrate`")]
struct MissingTopic(String);

/// What an error of the driver means to the caller.
pub(crate) fn storage_error(what: &'static str, error: KafkaError) -> StorageError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::RequestTimedOut) => {
            StorageError::TimedOut { what }
        }
        Some(RDKafkaErrorCode::QueueFull) => StorageError::Full { what },
        _ => StorageError::unavailable(what, error),
    }
}

/// Whether the error says that the topic or partition is not there.
pub(crate) fn is_unknown_topic(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicId
    )
}
