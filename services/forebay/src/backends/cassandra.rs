//! Tables in Apache Cassandra or ScyllaDB.

use forebay_server::Starting;
use forebay_storage_cassandra::{CassandraStores, ConnectError};

use super::{BackendError, Tables};
use crate::config::Config;
use crate::waiting::{self, Missing};

const NAME: &str = "cassandra";

pub async fn tables(config: &Config, starting: &Starting) -> Result<Tables, BackendError> {
    let connect = async || {
        let connected = CassandraStores::connect(&config.cassandra, config.registry.prefix()).await;
        connected.map_err(missing)
    };
    let stores = waiting::until(starting, NAME, &place(config), connect)
        .await
        .map_err(BackendError::Never)?;
    Ok(Tables {
        online: stores.online.clone(),
        registry: stores.registry.clone(),
        runs: stores.runs.clone(),
        claims: stores.claims.clone(),
        leases: stores.leases.clone(),
    })
}

/// Makes the keyspace and the tables that are no group's.
pub async fn migrate(config: &Config, starting: &Starting) -> Result<(), BackendError> {
    let migrate = async || {
        let migrated = forebay_storage_cassandra::migrate(&config.cassandra, config.registry.prefix()).await;
        migrated.map_err(missing)
    };
    waiting::until(starting, NAME, &place(config), migrate)
        .await
        .map_err(BackendError::Never)
}

/// Where it is, for people.
pub fn place(config: &Config) -> String {
    config.cassandra.contact_points.join(", ")
}

fn missing(error: ConnectError) -> Missing {
    match error {
        ConnectError::Setting(_) | ConnectError::Tls { .. } => Missing::Never(error.to_string()),
        ConnectError::Unreachable { source, .. } => Missing::Yet(source.to_string()),
        ConnectError::NotMigrated { .. } => Missing::Yet(error.to_string()),
    }
}
