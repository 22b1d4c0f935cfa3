//! `[lake]`: the Delta tables.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where Delta tables are, and which others may be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LakeConfig {
    /// The folder of the groups' tables and of sources with relative URIs; without it, `lake` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// Further folders that sources and spines may name as `file://`; everything else is refused.
    pub allowed: Vec<PathBuf>,
}
