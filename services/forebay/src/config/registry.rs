//! `[registry]`: the installation as the registry tells of it.

use serde::{Deserialize, Serialize};

/// What installation this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// The environment that this installation is, as `GET /v1/info` shows it.
    pub environment: String,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        RegistryConfig {
            environment: "default".to_owned(),
        }
    }
}
