//! The keyspace and the tables that are there from the beginning. Those of groups are made when groups are applied.

use forebay_storage::Result;
use scylla::errors::ExecutionError;

use crate::{
    claims,
    cluster::Cluster,
    config::{CassandraConfig, ConnectError},
    leases, online, registry, runs,
};

/// Makes the keyspace and the fixed tables where they are missing. It may be run again, by several at once, and beside services that run.
///
/// # Errors
/// Why the cluster could not be reached or refused a change.
pub async fn migrate(config: &CassandraConfig, environment: Option<&str>) -> Result<(), ConnectError> {
    make(config, environment, tables()).await.map(drop)
}

/// Makes the keyspace and some of its tables, and returns the connection over which it did.
pub(crate) async fn make(
    config: &CassandraConfig,
    environment: Option<&str>,
    tables: impl Iterator<Item = &'static str>,
) -> Result<Cluster, ConnectError> {
    let cluster = Cluster::connect(config, config.keyspace_in(environment)?).await?;
    let refused = |source: ExecutionError| ConnectError::Unreachable {
        contact_points: config.contact_points.join(", "),
        source: Box::new(source),
    };
    change(&cluster, keyspace(config, &cluster.keyspace))
        .await
        .map_err(refused)?;
    for table in tables {
        change(&cluster, cluster.qualified(table)).await.map_err(refused)?;
    }
    Ok(cluster)
}

/// Somebody else's migration that runs beside this one may win a race that the server does not decide; then it is there.
async fn change(cluster: &Cluster, cql: String) -> Result<(), ExecutionError> {
    match cluster.change(cql.clone()).await {
        Ok(()) => Ok(()),
        Err(_) => cluster.change(cql).await,
    }
}

fn tables() -> impl Iterator<Item = &'static str> {
    [
        online::TABLES,
        registry::TABLES,
        runs::TABLES,
        claims::TABLES,
        leases::TABLES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Copies by datacenter: never `SimpleStrategy`, which puts all of them into one rack.
fn keyspace(config: &CassandraConfig, name: &str) -> String {
    let mut copies = vec![("replication_factor", config.replication_factor)];
    if !config.replication.is_empty() {
        copies = config
            .replication
            .iter()
            .map(|(name, copies)| (name.as_str(), *copies))
            .collect();
    }
    let copies: Vec<_> = copies
        .into_iter()
        .map(|(name, copies)| format!("'{}': {copies}", name.replace('\'', "''")))
        .collect();
    format!(
        "CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = {{'class': 'NetworkTopologyStrategy', {}}} AND durable_writes = true",
        copies.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_go_by_datacenter_when_they_are_named() {
        let mut config = CassandraConfig::default();
        assert!(keyspace(&config, "forebay").contains("{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}"));
        config.replication = [("east".to_owned(), 3), ("west".to_owned(), 1)].into();
        assert!(keyspace(&config, "forebay").contains("'NetworkTopologyStrategy', 'east': 3, 'west': 1}"));
    }
}
