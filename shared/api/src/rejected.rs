//! `GET /v1/rejected`, `GET /v1/rejected/{id}` and `POST /v1/rejected/{id}/replay`: what came into a row topic and is no row of its group.

use serde::{Deserialize, Serialize};

/// Query parameters of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct RejectedQuery {
    /// Only records of this group.
    pub group: Option<String>,
    /// Records in a page, 1 to 1000; 100 by default.
    pub page_size: Option<u32>,
    pub page_token: Option<String>,
}

/// A record that a sink has set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "id": "0-17", "group": "visitor.profile", "code": "undecodable", "detail": "the record ends early", "partition": 3, "offset": 4711,
    "rejected_at": "2026-01-02T03:04:05.000006Z", "key": "djE=", "value": "AAAAEAEEdjE="
})))]
pub struct RejectedRecord {
    pub id: String,
    pub group: String,
    /// What is wrong, as a stable word.
    pub code: String,
    pub detail: String,
    /// Where the record stands in the group's topic.
    pub partition: u32,
    pub offset: u64,
    pub rejected_at: String,
    /// The record's key as it is, in base64; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The record's value as it is, in base64; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
