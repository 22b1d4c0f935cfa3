//! Stores in the data directory, which no other process may use meanwhile.

use std::sync::Arc;

use forebay_networked::{Stream, Tables};
use forebay_storage::{NothingRejected, ProcessAnnouncements, ProcessLeases};
use forebay_storage_embedded::EmbeddedStores;

use super::BackendError;
use crate::config::StorageConfig;

/// As metrics name it.
const NAME: &str = "embedded";

pub fn open(config: &StorageConfig) -> Result<EmbeddedStores, BackendError> {
    let stores = EmbeddedStores::open(&config.data_dir, config.to_options())?;
    tracing::info!(data = %config.data_dir.display(), "the embedded stores are open");
    Ok(stores)
}

pub fn tables(stores: &EmbeddedStores) -> Tables {
    Tables {
        online: stores.online.clone(),
        registry: stores.registry.clone(),
        runs: stores.runs.clone(),
        claims: stores.claims.clone(),
        leases: Arc::new(ProcessLeases::default()),
    }
    .measured(NAME)
}

pub fn stream(stores: &EmbeddedStores) -> Stream {
    Stream {
        row_log: stores.row_log.clone(),
        announcements: Arc::new(ProcessAnnouncements::default()),
        rejected: Arc::new(NothingRejected),
    }
    .measured(NAME)
}
