//! Tables in Apache Cassandra or ScyllaDB.

use forebay_server::Starting;
use forebay_storage_cassandra::{CassandraConfig, CassandraStores, ConnectError};

use crate::backend_error::BackendError;
use crate::process::Process;
use crate::seams::Tables;
use crate::settings::RegistryConfig;
use crate::waiting::{self, Missing};

const NAME: &str = "cassandra";

/// Connects, as soon as the cluster answers and its tables are there.
///
/// # Errors
/// When the settings are wrong.
pub async fn tables(
    process: &Process,
    config: &CassandraConfig,
    registry: &RegistryConfig,
) -> Result<Tables, BackendError> {
    let connect = async || {
        let connected = CassandraStores::connect(config, registry.prefix()).await;
        connected.map_err(missing)
    };
    let stores = waiting::until(&process.starting, NAME, &place(config), connect)
        .await
        .map_err(BackendError::Never)?;
    Ok(Tables {
        online: stores.online.clone(),
        registry: stores.registry.clone(),
        runs: stores.runs.clone(),
        claims: stores.claims.clone(),
        leases: stores.leases.clone(),
    }
    .measured(NAME))
}

/// Makes the keyspace and the tables that are no group's.
#[cfg(feature = "kafka")]
pub(crate) async fn migrate(
    starting: &Starting,
    config: &CassandraConfig,
    registry: &RegistryConfig,
) -> Result<(), BackendError> {
    let migrate = async || {
        let migrated = forebay_storage_cassandra::migrate(config, registry.prefix()).await;
        migrated.map_err(missing)
    };
    waiting::until(starting, NAME, &place(config), migrate)
        .await
        .map_err(BackendError::Never)
}

/// Where it is, for people.
pub(crate) fn place(config: &CassandraConfig) -> String {
    config.contact_points.join(", ")
}

fn missing(error: ConnectError) -> Missing {
    match error {
        ConnectError::Setting(_) | ConnectError::Tls { .. } => Missing::Never(error.to_string()),
        ConnectError::Unreachable { source, .. } => Missing::Yet(source.to_string()),
        ConnectError::NotMigrated { .. } => Missing::Yet(error.to_string()),
    }
}
