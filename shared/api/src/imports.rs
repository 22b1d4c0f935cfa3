//! `POST /v1/imports` and `GET /v1/imports/{group}`: bringing the rows of a group's Delta table online.

use serde::{Deserialize, Serialize};

/// Asks for the online rows of a group to be thrown away and made anew from its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"group": "product.value"})))]
pub struct ImportRequest {
    /// A group whose rows come as commits: a batch group, or one with `ingest: commits`.
    pub group: String,
}

/// How far the commits to a group's table are online.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"group": "product.value", "state": "following", "version": 41})))]
pub struct Import {
    pub group: String,
    pub state: ImportState,
    /// `following`: the version up to which all rows are online. `rebuilding`: the version that is being read. `stopped`: the version that removed rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// What to do, when it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What happens with the commits to a group's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ImportState {
    /// Nothing was looked at yet.
    Waiting,
    /// Each new version goes online.
    Following,
    /// All rows of the newest version are going online.
    Rebuilding,
    /// A commit by others removed rows; nothing goes online until the group is rebuilt.
    Stopped,
}
