//! The stores of one process: embedded ones in the data directory, Delta tables in the lake beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_model::{Clock, SystemClock};
use forebay_query::Engine;
use forebay_registry::Refusal;
use forebay_storage::{Leases, ProcessLeases};
use forebay_storage_delta::{DeltaStore, LakeLocations, LocationError};
use forebay_storage_embedded::{EmbeddedStores, OpenError};

use crate::config::Config;

/// Everything that services keep state in.
pub struct Backends {
    pub stores: EmbeddedStores,
    pub lake: DeltaStore,
    pub engine: Engine,
    pub catalog: Arc<Catalog>,
    pub clock: Arc<dyn Clock>,
    /// Who works on which table; there is only this process to share them with.
    pub leases: Arc<dyn Leases>,
    /// Uploads that wait for their query.
    pub spines: PathBuf,
}

/// The process cannot start, since a store cannot.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The embedded stores.
    #[error(transparent)]
    Stores(#[from] OpenError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LocationError),
    /// The folder that queries spill into.
    #[error("the folder {} cannot be emptied: {source}", .folder.display())]
    Spill { folder: PathBuf, source: std::io::Error },
    /// The engine.
    #[error("the query engine cannot start: {0}")]
    Engine(String),
    /// The registry's own store.
    #[error("the registry cannot be read: {0}")]
    Registry(Refusal),
}

impl Backends {
    /// Opens the stores in the data directory, which no other process may use meanwhile, and reads the registry.
    pub async fn open(config: &Config) -> Result<Self, BackendError> {
        let data = &config.storage.data_dir;
        let stores = EmbeddedStores::open(data, config.storage.to_options())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let root = config.lake.root.clone().unwrap_or_else(|| data.join("lake"));
        let locations = LakeLocations::new(&root, &config.lake.allowed)?;
        let lake = DeltaStore::new(locations, Arc::clone(&clock));
        let spill = data.join("spill");
        empty(&spill)?;
        let engine = Engine::new(config.engine.to_engine(&spill), Arc::new(lake.clone()))
            .map_err(|error| BackendError::Engine(error.to_string()))?;
        let catalog = Arc::new(Catalog::default());
        let revision = forebay_registry::load(&*stores.registry, &catalog)
            .await
            .map_err(BackendError::Registry)?;
        tracing::info!(data = %data.display(), lake = %root.display(), registry_revision = revision, "stores are open");
        Ok(Backends {
            stores,
            lake,
            engine,
            catalog,
            clock,
            leases: Arc::new(ProcessLeases::default()),
            spines: data.join("spines"),
        })
    }
}

/// What a process that was killed has spilled is of no use to anybody.
fn empty(folder: &Path) -> Result<(), BackendError> {
    match std::fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(BackendError::Spill {
            folder: folder.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}
