//! The seams of a process and what is behind them: one file per backend, each chosen by its section of the settings.
//!
//! A backend is opened when a service asks for it, so that a process opens what its services need and nothing else. What is not there yet is waited for.

mod cassandra;
mod catalog;
mod embedded;
mod engine;
mod kafka;
mod lake;
mod scratch;

use std::path::PathBuf;
use std::sync::Arc;

use forebay_model::{Clock, SystemClock};
use forebay_offline_query::SpineFolder;
use forebay_query::{Engine, OfflineTables};
use forebay_server::Starting;
use forebay_storage::{
    Announcements, ClaimStore, Leases, OfflineStore, OnlineStore, RegistryStore, RejectedLog, RowLog, RunStore,
    SourceTables,
};
use forebay_storage_delta::LocationError;
use forebay_storage_embedded::{EmbeddedStores, OpenError};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::config::Config;
pub use catalog::{follow, load};
use scratch::Scratch;

/// Rows by key and all small state.
#[derive(Clone)]
pub struct Tables {
    pub online: Arc<dyn OnlineStore>,
    pub registry: Arc<dyn RegistryStore>,
    pub runs: Arc<dyn RunStore>,
    pub claims: Arc<dyn ClaimStore>,
    pub leases: Arc<dyn Leases>,
}

/// What services send each other.
#[derive(Clone)]
pub struct Stream {
    pub row_log: Arc<dyn RowLog>,
    pub announcements: Arc<dyn Announcements>,
    pub rejected: Arc<dyn RejectedLog>,
}

/// Delta tables: groups' own and those of others.
#[derive(Clone)]
pub struct Lake {
    /// Where uploads wait for their queries, in reach of every process.
    pub spines: SpineFolder,
    pub offline: Arc<dyn OfflineStore>,
    pub sources: Arc<dyn SourceTables>,
    pub tables: Arc<dyn OfflineTables>,
}

/// Opens backends.
pub struct Backends<'a> {
    config: &'a Config,
    starting: &'a Starting,
    pub clock: Arc<dyn Clock>,
    /// This process, another one after each start.
    pub process: Uuid,
    /// One set of stores for all that is embedded.
    embedded: OnceCell<EmbeddedStores>,
    scratch: OnceCell<Scratch>,
}

/// The process cannot start, and waiting would not help.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The embedded stores.
    #[error(transparent)]
    Stores(#[from] OpenError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LocationError),
    /// The folder that queries spill into.
    #[error("the folder {} cannot be used: {source}", .folder.display())]
    Scratch { folder: PathBuf, source: std::io::Error },
    /// The engine.
    #[error("the query engine cannot start: {0}")]
    Engine(String),
    /// What was not waited for.
    #[error("{0}")]
    Never(String),
}

impl<'a> Backends<'a> {
    /// Nothing is opened yet; `starting` is told what is waited for.
    pub fn new(config: &'a Config, starting: &'a Starting) -> Self {
        Backends {
            config,
            starting,
            clock: Arc::new(SystemClock),
            process: Uuid::new_v4(),
            embedded: OnceCell::new(),
            scratch: OnceCell::new(),
        }
    }

    /// In Cassandra if it is configured.
    pub async fn tables(&self) -> Result<Tables, BackendError> {
        match self.config.cassandra.is_configured() {
            true => cassandra::tables(self.config, self.starting).await,
            false => Ok(embedded::tables(self.embedded().await?)),
        }
    }

    /// In Kafka if it is configured.
    pub async fn stream(&self) -> Result<Stream, BackendError> {
        match self.config.kafka.is_configured() {
            true => kafka::stream(self.config, self.starting, &self.clock).await,
            false => Ok(embedded::stream(self.embedded().await?)),
        }
    }

    /// On S3 or in a folder.
    pub async fn lake(&self) -> Result<Lake, BackendError> {
        lake::open(self.config, self.starting, &self.clock).await
    }

    /// An engine over the lake.
    pub async fn engine(&self, lake: &Lake) -> Result<Engine, BackendError> {
        engine::start(self.config, lake, self.scratch().await?)
    }

    async fn embedded(&self) -> Result<&EmbeddedStores, BackendError> {
        self.embedded
            .get_or_try_init(async || embedded::open(&self.config.storage))
            .await
    }

    /// The folder for what this process spills.
    async fn scratch(&self) -> Result<&Scratch, BackendError> {
        let folder = self.config.storage.data_dir.join("spill");
        let open = async || {
            Scratch::open(&folder).map_err(|source| BackendError::Scratch {
                folder: folder.clone(),
                source,
            })
        };
        self.scratch.get_or_try_init(open).await
    }
}

/// Prepares what is networked; tells what has been prepared.
pub async fn migrate(config: &Config, starting: &Starting) -> Result<Vec<String>, BackendError> {
    let mut prepared = Vec::new();
    if config.cassandra.is_configured() {
        cassandra::migrate(config, starting).await?;
        prepared.push(format!(
            "cassandra at {}: keyspace and tables are there",
            cassandra::place(config)
        ));
    }
    if config.kafka.is_configured() {
        kafka::migrate(config, starting).await?;
        prepared.push(format!("kafka at {}: topics are there", kafka::place(config)));
    }
    if prepared.is_empty() {
        prepared.push("nothing to prepare: no networked backend is configured".to_owned());
    }
    Ok(prepared)
}
