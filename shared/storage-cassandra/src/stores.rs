use std::sync::Arc;

use forebay_storage::{Result, StorageError};

use crate::{
    CassandraClaimStore, CassandraLeases, CassandraOnlineStore, CassandraRegistryStore, CassandraRunStore,
    cluster::{Cluster, Statement},
    config::{CassandraConfig, ConnectError},
};

const WHAT: &str = "Cassandra";

/// A read of nothing from each fixed table that a process may need: it tells whether they are there and enough replicas answer.
const PROBES: [Statement; 5] = [
    Statement::read(WHAT, "SELECT epoch FROM {}.progress WHERE consumer = '-'"),
    Statement::read(WHAT, "SELECT head FROM {}.registry_heads WHERE registry = '-' LIMIT 1"),
    Statement::read(WHAT, "SELECT value FROM {}.marks WHERE name = '-'"),
    Statement::read(WHAT, "SELECT minute FROM {}.claim_minutes WHERE shelf = '-' LIMIT 1"),
    Statement::read(WHAT, "SELECT holder FROM {}.leases WHERE name = '-'"),
];

/// All stores in one keyspace, over one session.
pub struct CassandraStores {
    pub online: Arc<CassandraOnlineStore>,
    pub registry: Arc<CassandraRegistryStore>,
    pub runs: Arc<CassandraRunStore>,
    pub claims: Arc<CassandraClaimStore>,
    pub leases: Arc<CassandraLeases>,
    cluster: Arc<Cluster>,
}

impl CassandraStores {
    /// Connects, once: it waits for nothing. `environment` names the installation's environment, if it has a name.
    ///
    /// # Errors
    /// What is wrong with the settings, the cluster or the keyspace.
    pub async fn connect(config: &CassandraConfig, environment: Option<&str>) -> Result<Self, ConnectError> {
        let cluster = Arc::new(Cluster::connect(config, config.keyspace_in(environment)?).await?);
        for probe in &PROBES {
            if cluster.is_missing(probe).await {
                return Err(ConnectError::NotMigrated {
                    keyspace: cluster.keyspace.clone(),
                });
            }
        }
        Ok(Self::over(cluster, config))
    }

    /// All stores over one session, whatever is in the keyspace.
    pub(crate) fn over(cluster: Arc<Cluster>, config: &CassandraConfig) -> Self {
        let leases = Arc::new(CassandraLeases::new(cluster.clone(), config.lease()));
        Self {
            online: Arc::new(CassandraOnlineStore::new(cluster.clone(), leases.clone(), config)),
            registry: Arc::new(CassandraRegistryStore::new(cluster.clone())),
            runs: Arc::new(CassandraRunStore::new(cluster.clone())),
            claims: Arc::new(CassandraClaimStore::new(cluster.clone())),
            leases,
            cluster,
        }
    }

    /// Whether the cluster answers at the configured consistency, for readiness.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.cluster.run(&PROBES[0], ()).await.map(drop)
    }

    /// The keyspace that everything is in.
    #[must_use]
    pub fn keyspace(&self) -> &str {
        &self.cluster.keyspace
    }
}
