//! Delta tables, on S3 or in a folder.

use std::sync::Arc;

use forebay_model::Clock;
use forebay_offline_query::SpineFolder;
use forebay_server::Starting;
use forebay_storage_delta::{DeltaStore, LakeLocations};

use super::{BackendError, Lake};
use crate::config::Config;
use crate::waiting::{self, Missing};

/// The folder of the tables when none is named, in the data directory.
const FOLDER: &str = "lake";

/// Forebay's own files in the lake, where no table can be.
const SPINES: &str = "_forebay/spines";

pub async fn open(config: &Config, starting: &Starting, clock: &Arc<dyn Clock>) -> Result<Lake, BackendError> {
    let folder = config.storage.data_dir.join(FOLDER);
    let locations = LakeLocations::open(&config.lake, &folder, config.registry.prefix())?;
    let root = locations.root().url().to_string();
    let spines = locations.root().join(SPINES);
    let store = DeltaStore::new(locations, Arc::clone(clock));
    let ask = async || store.check().await.map_err(|error| Missing::Yet(error.to_string()));
    waiting::until(starting, "lake", &root, ask)
        .await
        .map_err(BackendError::Never)?;
    tracing::info!(root, "the lake is open");
    Ok(Lake {
        spines: SpineFolder {
            store: Arc::clone(spines.store()),
            path: spines.path().clone(),
            url: spines.url().clone(),
        },
        offline: Arc::new(store.clone()),
        sources: Arc::new(store.clone()),
        tables: Arc::new(store),
    })
}
