//! The stream in Apache Kafka.

use std::sync::Arc;

use forebay_model::Clock;
use forebay_server::Starting;
use forebay_storage::StorageError;
use forebay_stream_kafka::KafkaStreams;

use super::{BackendError, Stream};
use crate::config::Config;
use crate::waiting::{self, Missing};

const NAME: &str = "kafka";

pub async fn stream(config: &Config, starting: &Starting, clock: &Arc<dyn Clock>) -> Result<Stream, BackendError> {
    let connect = async || {
        let connected = KafkaStreams::connect(&config.kafka, config.registry.prefix(), Arc::clone(clock)).await;
        connected.map_err(|error| missing(&error))
    };
    let streams = waiting::until(starting, NAME, &place(config), connect)
        .await
        .map_err(BackendError::Never)?;
    Ok(Stream {
        row_log: streams.row_log,
        announcements: streams.announcements,
        rejected: streams.rejected,
    })
}

/// Makes the topics that are no group's.
pub async fn migrate(config: &Config, starting: &Starting) -> Result<(), BackendError> {
    let migrate = async || {
        let migrated = forebay_stream_kafka::migrate(&config.kafka, config.registry.prefix()).await;
        migrated.map_err(|error| missing(&error))
    };
    waiting::until(starting, NAME, &place(config), migrate)
        .await
        .map_err(BackendError::Never)
}

/// Where it is, for people.
pub fn place(config: &Config) -> String {
    config.kafka.brokers.join(", ")
}

/// Topics that are not there yet may be made by `forebay migrate` meanwhile; wrong settings stay wrong.
fn missing(error: &StorageError) -> Missing {
    match error {
        StorageError::Misconfigured { .. } => Missing::Never(error.to_string()),
        error => Missing::Yet(error.to_string()),
    }
}
