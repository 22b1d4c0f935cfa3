//! `GET /v1/info`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The installation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "version": "0.1.0", "environment": "default", "registry_revision": 41,
    "limits": {"group_features": 2000, "encoded_key_bytes": 1024}
})))]
pub struct Info {
    /// Forebay's version.
    pub version: String,
    /// The environment that this installation is.
    pub environment: String,
    /// Counts all changes of definitions.
    pub registry_revision: u64,
    /// The most of each thing that is taken; docs describe them by these names.
    pub limits: BTreeMap<String, u64>,
}
