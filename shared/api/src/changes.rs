//! `GET /v1/changes`: the log of registry revisions.

use serde::{Deserialize, Serialize};

use crate::apply::Change;

/// Query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct ChangesQuery {
    /// Only registry revisions after this one; 0 by default.
    pub after: Option<u64>,
    /// 1 to 1000; 100 by default.
    pub page_size: Option<u32>,
    /// The `next_page_token` of the page before.
    pub page_token: Option<String>,
}

/// One registry revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistryChange {
    pub registry_revision: u64,
    /// Tells this apply from every other.
    pub apply_id: String,
    /// RFC 3339.
    pub published_at: String,
    pub changes: Vec<Change>,
}

/// One page of changes, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangesPage {
    pub items: Vec<RegistryChange>,
    /// Send it as `page_token` to get the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}
