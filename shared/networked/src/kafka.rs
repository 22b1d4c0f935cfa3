//! The stream in Apache Kafka.

use std::sync::Arc;

use forebay_server::Starting;
use forebay_storage::StorageError;
use forebay_stream_kafka::{KafkaConfig, KafkaStreams};

use crate::backend_error::BackendError;
use crate::process::Process;
use crate::seams::Stream;
use crate::settings::RegistryConfig;
use crate::waiting::{self, Missing};

const NAME: &str = "kafka";

/// Connects, as soon as brokers answer and the topics are there.
///
/// # Errors
/// When the settings are wrong.
pub async fn stream(
    process: &Process,
    config: &KafkaConfig,
    registry: &RegistryConfig,
) -> Result<Stream, BackendError> {
    let connect = async || {
        let connected = KafkaStreams::connect(config, registry.prefix(), Arc::clone(&process.clock)).await;
        connected.map_err(|error| missing(&error))
    };
    let streams = waiting::until(&process.starting, NAME, &place(config), connect)
        .await
        .map_err(BackendError::Never)?;
    Ok(Stream {
        row_log: streams.row_log,
        announcements: streams.announcements,
        rejected: streams.rejected,
    }
    .measured(NAME))
}

/// Makes the topics that are no group's.
#[cfg(feature = "cassandra")]
pub(crate) async fn migrate(
    starting: &Starting,
    config: &KafkaConfig,
    registry: &RegistryConfig,
) -> Result<(), BackendError> {
    let migrate = async || {
        let migrated = forebay_stream_kafka::migrate(config, registry.prefix()).await;
        migrated.map_err(|error| missing(&error))
    };
    waiting::until(starting, NAME, &place(config), migrate)
        .await
        .map_err(BackendError::Never)
}

/// Where it is, for people.
pub(crate) fn place(config: &KafkaConfig) -> String {
    config.brokers.join(", ")
}

/// Topics that are not there yet may be made by `migrate` meanwhile; wrong settings stay wrong.
fn missing(error: &StorageError) -> Missing {
    match error {
        StorageError::Misconfigured { .. } => Missing::Never(error.to_string()),
        error => Missing::Yet(error.to_string()),
    }
}
