//! Delta tables, on S3 or in a folder.

use std::path::Path;
use std::sync::Arc;

use forebay_query::OfflineTables;
use forebay_storage::{OfflineStore, SourceTables, measured};
use forebay_storage_delta::{DeltaStore, LakeConfig, LakeLocations, Location};

use crate::backend_error::BackendError;
use crate::process::Process;
use crate::settings::RegistryConfig;
use crate::waiting::{self, Missing};

/// The folder of the tables when none is named, in the data directory.
const FOLDER: &str = "lake";

/// Forebay's own files in the lake, where no table can be.
const SPINES: &str = "_forebay/spines";

/// Delta tables: groups' own and those of others.
#[derive(Clone)]
pub struct Lake {
    /// Where uploads wait for their queries, in reach of every process.
    pub spines: Location,
    pub offline: Arc<dyn OfflineStore>,
    pub sources: Arc<dyn SourceTables>,
    pub tables: Arc<dyn OfflineTables>,
}

/// Opens the lake as soon as it answers. A process without a data directory must name the lake's root, and compacts nothing.
///
/// # Errors
/// When the settings are wrong.
pub async fn lake(
    process: &Process,
    config: &LakeConfig,
    registry: &RegistryConfig,
    data_dir: Option<&Path>,
) -> Result<Lake, BackendError> {
    let default_root = data_dir.map(|folder| folder.join(FOLDER)).unwrap_or_default();
    let locations = LakeLocations::open(config, &default_root, registry.prefix())
        .map_err(|error| BackendError::Never(error.to_string()))?;
    let root = locations.root().url().to_string();
    let spines = locations.root().join(SPINES);
    let mut store = DeltaStore::new(locations, Arc::clone(&process.clock));
    if let Some(data_dir) = data_dir {
        store = store.spilling_into(process.scratch(data_dir).await?);
    }
    let ask = async || store.check().await.map_err(|error| Missing::Yet(error.to_string()));
    waiting::until(&process.starting, "lake", &root, ask)
        .await
        .map_err(BackendError::Never)?;
    tracing::info!(root, "the lake is open");
    Ok(Lake {
        spines,
        offline: measured::offline(Arc::new(store.clone()), "lake"),
        sources: Arc::new(store.clone()),
        tables: Arc::new(store),
    })
}
