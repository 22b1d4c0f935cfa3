//! Installations of their own on one cluster.

use std::sync::Arc;

use async_trait::async_trait;
use forebay_model::SystemClock;
use forebay_storage::{Announcements, RejectedLog, RowLog, conformance::Installation};
use forebay_testbed::{Kafka, KafkaOptions};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use crate::{KafkaConfig, KafkaRowLog, KafkaStreams, migrate, names::Names, topics::Topics};

/// The cluster that all tests share.
pub(super) fn shared_cluster() -> KafkaConfig {
    at(forebay_testbed::kafka())
}

pub(super) fn at(brokers: &str) -> KafkaConfig {
    KafkaConfig {
        brokers: brokers.split(',').map(str::to_owned).collect(),
        partitions: 3,
        ..KafkaConfig::default()
    }
}

/// A cluster of a test's own, to be killed and paused. One at a time: they are large, and what is measured in them is time.
pub(super) struct OwnCluster {
    pub(super) kafka: Kafka,
    _turn: MutexGuard<'static, ()>,
}

impl OwnCluster {
    pub(super) async fn start(options: KafkaOptions) -> Self {
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let kafka = tokio::task::block_in_place(|| Kafka::start(options)).expect("Kafka");
        Self { kafka, _turn: turn }
    }
}

/// An environment that nobody else uses.
pub(super) struct Environment {
    pub(super) config: KafkaConfig,
    pub(super) name: String,
}

impl Environment {
    pub(super) fn on(config: KafkaConfig) -> Self {
        let id = Uuid::new_v4().simple().to_string();
        Self {
            config,
            name: format!("test{}", &id[..12]),
        }
    }

    /// With the topics that do not belong to a group.
    pub(super) async fn migrated(config: KafkaConfig) -> Self {
        let environment = Self::on(config);
        migrate(&environment.config, Some(&environment.name))
            .await
            .expect("topics");
        environment
    }

    /// All that a process would open.
    pub(super) async fn connect(&self) -> KafkaStreams {
        KafkaStreams::connect(&self.config, Some(&self.name), Arc::new(SystemClock))
            .await
            .expect("a connection")
    }

    pub(super) fn names(&self) -> Names {
        Names::new(Some(&self.name))
    }

    pub(super) fn topics(&self) -> Topics {
        Topics::new(Arc::new(self.config.clone())).expect("an admin client")
    }

    /// The log as another process would open it.
    pub(super) fn row_log(&self) -> Arc<KafkaRowLog> {
        let config = Arc::new(self.config.clone());
        Arc::new(KafkaRowLog::new(
            config,
            self.names(),
            self.topics(),
            Arc::new(SystemClock),
        ))
    }
}

#[async_trait]
impl Installation<dyn RowLog> for Environment {
    async fn open(&self) -> Arc<dyn RowLog> {
        self.row_log()
    }
}

#[async_trait]
impl Installation<dyn Announcements> for Environment {
    async fn open(&self) -> Arc<dyn Announcements> {
        self.connect().await.announcements
    }
}

#[async_trait]
impl Installation<dyn RejectedLog> for Environment {
    async fn open(&self) -> Arc<dyn RejectedLog> {
        self.connect().await.rejected
    }
}
