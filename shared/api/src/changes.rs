//! `GET /v1/changes`: the log of registry revisions. `GET /v1/changes/snapshot`: the newest one as a whole.

use forebay_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// The whole registry at one registry revision, as services hold it in memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistrySnapshot {
    pub registry_revision: u64,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub published_at: Timestamp,
    /// Every object, deleted ones included; views with all their revisions, oldest first.
    pub objects: Vec<RegisteredObject>,
    /// Of every group.
    pub readiness: Vec<GroupReadiness>,
}

/// One revision of an object, with all that the registry decided about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisteredObject {
    pub revision: u64,
    /// Deleted by this revision; the definition is its last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The definition in its canonical form.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub definition: Value,
    /// Of a feature group: its schema, its lineage, and schemas whose data is to be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub group: Option<Value>,
}

/// Whether the tables and topics of a group are there. It holds for one layout in one set of stores; once they are ready for these, they stay it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GroupReadiness {
    pub group: String,
    /// The group's number in the installation.
    pub id: u32,
    pub generation: u16,
    pub layout: u16,
    pub online: bool,
    pub offline: bool,
    pub ready: bool,
    /// Why it is not, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
