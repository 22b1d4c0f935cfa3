use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[storage]` as a service alone reads it: where it puts what only it needs, and only while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataDir {
    /// The folder of what queries spill and of uploads that are not complete yet; made if it does not exist.
    pub data_dir: PathBuf,
}

impl Default for DataDir {
    fn default() -> Self {
        DataDir {
            data_dir: PathBuf::from("forebay-data"),
        }
    }
}
