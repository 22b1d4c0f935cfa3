//! `[registry]`: the installation, and where its registry is.

use serde::{Deserialize, Serialize};

/// The name of the environment whose topics, keyspace and lake folder carry no name.
const UNNAMED: &str = "default";

/// What installation this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// The environment that this installation is, as `GET /v1/info` shows it. Unless it is `default`, the names of
    /// topics, of the keyspace and of the folder in the lake begin with it.
    pub environment: String,
    /// The base URL of the registry, for services in processes of their own. Empty: there is none in another process.
    pub url: String,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        RegistryConfig {
            environment: UNNAMED.to_owned(),
            url: String::new(),
        }
    }
}

impl RegistryConfig {
    /// What names in backends begin with, if anything.
    pub fn prefix(&self) -> Option<&str> {
        Some(self.environment.as_str()).filter(|name| *name != UNNAMED)
    }
}
