//! The stores under the suites that every backend runs, on a real Cassandra, each in a keyspace of its own.

use std::{env, sync::Arc};

use async_trait::async_trait;
use forebay_storage::{
    ClaimStore, OnlineStore, RegistryStore, RunStore,
    conformance::{self, Installation},
};
use uuid::Uuid;

use crate::{CassandraConfig, CassandraStores, migrate};

/// The server that `FOREBAY_TEST_CASSANDRA` names, or one that is started for all tests of this program.
pub(crate) fn contact_point() -> String {
    env::var("FOREBAY_TEST_CASSANDRA").unwrap_or_else(|_| forebay_testbed::cassandra().to_owned())
}

/// Settings for one node and a keyspace of their own.
pub(crate) fn config(contact_point: String) -> CassandraConfig {
    CassandraConfig {
        contact_points: vec![contact_point],
        keyspace: format!("test_{}", Uuid::new_v4().simple()),
        replication_factor: 1,
        ..CassandraConfig::default()
    }
}

/// A keyspace, empty at first.
pub(crate) struct Place(pub CassandraConfig);

impl Place {
    pub(crate) async fn new() -> Self {
        let config = tokio::task::spawn_blocking(contact_point).await.expect("a server");
        Self::with(self::config(config)).await
    }

    pub(crate) async fn with(config: CassandraConfig) -> Self {
        migrate(&config, None).await.expect("migrated");
        Self(config)
    }

    pub(crate) async fn stores(&self) -> CassandraStores {
        CassandraStores::connect(&self.0, None).await.expect("connected")
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

installation!(OnlineStore, online);
installation!(RegistryStore, registry);
installation!(RunStore, runs);
installation!(ClaimStore, claims);

#[tokio::test(flavor = "multi_thread")]
async fn online_store() {
    conformance::online_store(Place::new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_store() {
    conformance::registry_store(Place::new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_store() {
    conformance::run_store(Place::new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_store() {
    conformance::claim_store(Place::new).await;
}
