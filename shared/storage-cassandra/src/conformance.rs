//! The stores under the suites that every backend runs, on a real Cassandra, each in a keyspace of its own.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use forebay_storage::{
    ClaimStore, Leases, OnlineStore, RegistryStore, RunStore,
    conformance::{self, Installation, LeasesPlace},
};
use uuid::Uuid;

use crate::{
    CassandraConfig, CassandraStores, ConnectError, claims, cluster::Cluster, leases, migrate, online, registry, runs,
};

/// A server for all tests of this program.
pub(crate) fn contact_point() -> String {
    forebay_testbed::cassandra().to_owned()
}

/// Settings for one node and a keyspace of their own.
pub(crate) fn config(contact_point: String) -> CassandraConfig {
    CassandraConfig {
        contact_points: vec![contact_point],
        keyspace: format!("test_{}", Uuid::new_v4().simple()),
        replication_factor: 1,
        lease_ms: 2_000,
        ..CassandraConfig::default()
    }
}

/// A keyspace, empty at first, and dropped at the end: a node does not bear thousands of tables.
pub(crate) struct Place(pub CassandraConfig);

impl Place {
    /// With the tables of one store only, and of the leases.
    pub(crate) async fn of(tables: &'static [&'static str]) -> Self {
        let contact_point = tokio::task::spawn_blocking(contact_point).await.expect("a server");
        Self::with(config(contact_point), tables).await
    }

    pub(crate) async fn with(config: CassandraConfig, tables: &'static [&'static str]) -> Self {
        let tables = tables.iter().chain(leases::TABLES).copied();
        migrate::make(&config, None, tables).await.expect("migrated");
        Self(config)
    }

    pub(crate) async fn stores(&self) -> CassandraStores {
        let keyspace = self.0.keyspace.clone();
        let cluster = Cluster::connect(&self.0, keyspace).await.expect("connected");
        CassandraStores::over(Arc::new(cluster), &self.0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let config = self.0.clone();
        // Not waited for: the server may be gone already.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                if let Ok(cluster) = Cluster::connect(&config, config.keyspace.clone()).await {
                    let _ = cluster.change(cluster.qualified("DROP KEYSPACE {}")).await;
                }
            });
        });
    }
}

macro_rules! installation {
    ($store:path, $field:ident) => {
        #[async_trait]
        impl Installation<dyn $store> for Place {
            async fn open(&self) -> Arc<dyn $store> {
                self.stores().await.$field
            }
        }
    };
}

#[async_trait]
impl LeasesPlace for Place {
    async fn open(&self) -> Arc<dyn Leases> {
        self.stores().await.leases
    }

    fn outlasts(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.0.lease_ms))
    }
}

installation!(OnlineStore, online);
installation!(RegistryStore, registry);
installation!(RunStore, runs);
installation!(ClaimStore, claims);

#[tokio::test(flavor = "multi_thread")]
async fn online_store() {
    conformance::online_store(async || Place::of(online::TABLES).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_store() {
    conformance::registry_store(async || Place::of(registry::TABLES).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_store() {
    conformance::run_store(async || Place::of(runs::TABLES).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_store() {
    conformance::claim_store(async || Place::of(claims::TABLES).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_processes() {
    conformance::leases(async || Place::of(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_starts_when_its_keyspace_is_migrated() {
    let contact_point = tokio::task::spawn_blocking(contact_point).await.expect("a server");
    let place = Place(config(contact_point));
    let refused = CassandraStores::connect(&place.0, None).await.err();
    assert!(matches!(refused, Some(ConnectError::NotMigrated { .. })), "{refused:?}");
    let (one, other) = tokio::join!(migrate::migrate(&place.0, None), migrate::migrate(&place.0, None));
    one.expect("migrated");
    other.expect("migrated beside it");
    let stores = CassandraStores::connect(&place.0, None).await.expect("connected");
    stores.ping().await.expect("an answer");
    let nowhere = CassandraConfig {
        contact_points: vec!["127.0.0.1:1".to_owned()],
        ..place.0.clone()
    };
    let refused = CassandraStores::connect(&nowhere, None).await.err();
    assert!(matches!(refused, Some(ConnectError::Unreachable { .. })), "{refused:?}");
}
