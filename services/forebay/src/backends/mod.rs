//! The seams of the one process and what is behind them: each backend is networked when its section names one, and embedded otherwise.

mod embedded;

use forebay_networked::{Process, Stream, Tables};
use forebay_storage_embedded::{EmbeddedStores, OpenError};
use tokio::sync::OnceCell;

use crate::config::Config;

/// Opens backends.
pub struct Backends<'a> {
    config: &'a Config,
    /// One set of stores for all that is embedded.
    embedded: OnceCell<EmbeddedStores>,
}

/// The process cannot start, and waiting would not help.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The embedded stores.
    #[error(transparent)]
    Stores(#[from] OpenError),
    /// A networked backend, the lake or the engine.
    #[error(transparent)]
    Networked(#[from] forebay_networked::BackendError),
}

impl<'a> Backends<'a> {
    /// Nothing is opened yet.
    pub fn new(config: &'a Config) -> Self {
        Backends {
            config,
            embedded: OnceCell::new(),
        }
    }

    /// In Cassandra if it is configured.
    pub async fn tables(&self, process: &Process) -> Result<Tables, BackendError> {
        let Config {
            cassandra, registry, ..
        } = self.config;
        match cassandra.is_configured() {
            true => Ok(forebay_networked::tables(process, cassandra, registry).await?),
            false => Ok(embedded::tables(self.embedded().await?)),
        }
    }

    /// In Kafka if it is configured.
    pub async fn stream(&self, process: &Process) -> Result<Stream, BackendError> {
        let Config { kafka, registry, .. } = self.config;
        match kafka.is_configured() {
            true => Ok(forebay_networked::stream(process, kafka, registry).await?),
            false => Ok(embedded::stream(self.embedded().await?)),
        }
    }

    async fn embedded(&self) -> Result<&EmbeddedStores, BackendError> {
        self.embedded
            .get_or_try_init(async || embedded::open(&self.config.storage))
            .await
    }
}
