//! What services find in their backends when they start. Groups' own tables and topics are the registry's.

use forebay_server::Starting;
use forebay_storage_cassandra::CassandraConfig;
use forebay_stream_kafka::KafkaConfig;

use crate::backend_error::BackendError;
use crate::settings::RegistryConfig;
use crate::{cassandra, kafka};

/// Makes the keyspace, the tables and the topics that are no group's, or brings them to this version; repeating it changes nothing. Gives a line for each
/// backend that is configured.
///
/// # Errors
/// When settings are wrong.
pub async fn migrate(
    starting: &Starting,
    registry: &RegistryConfig,
    tables: &CassandraConfig,
    stream: &KafkaConfig,
) -> Result<Vec<String>, BackendError> {
    let mut prepared = Vec::new();
    if tables.is_configured() {
        cassandra::migrate(starting, tables, registry).await?;
        prepared.push(format!(
            "cassandra at {}: keyspace and tables are there",
            cassandra::place(tables)
        ));
    }
    if stream.is_configured() {
        kafka::migrate(starting, stream, registry).await?;
        prepared.push(format!("kafka at {}: topics are there", kafka::place(stream)));
    }
    if prepared.is_empty() {
        prepared.push("nothing to prepare: no networked backend is configured".to_owned());
    }
    Ok(prepared)
}
