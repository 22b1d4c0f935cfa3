//! `[storage]`: the embedded stores.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the process keeps what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// The folder of the online rows, the registry, the row log and the run states; made if it does not exist.
    pub data_dir: PathBuf,
}

impl Default for StorageConfig {
    fn default() -> Self {
        StorageConfig {
            data_dir: PathBuf::from("forebay-data"),
        }
    }
}
