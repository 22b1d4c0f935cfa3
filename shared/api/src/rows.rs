//! `POST /v1/rows/{group}`: rows from callers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Rows as JSON; NDJSON, Arrow IPC streams and Parquet hold the same columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"rows": [
    {"visitor_id": "v1", "event_time": "2026-01-02T03:04:05.000006Z", "city": "Recife", "taste": null}
]})))]
pub struct RowsRequest {
    /// Each names its keys, its event time and every feature; or its keys, its event time and `"_deleted": true`.
    pub rows: Vec<Map<String, Value>>,
}

/// Query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct RowsQuery {
    /// Answer only when these stores hold the rows: online, offline or both, separated by commas.
    #[serde(default)]
    pub wait: Vec<String>,
    /// How long to wait for them, such as `5s`; after that the answer is 202 and the receipt still tells.
    pub timeout: Option<String>,
    /// `null`: features that a row leaves out are null.
    pub missing: Option<String>,
    /// `now`: rows without an event time get one moment for the whole request.
    pub event_time: Option<String>,
    /// `reject` (the default): one bad row and nothing is accepted. `skip`: the good ones are.
    pub on_invalid: Option<String>,
}

/// What became of the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "receipt": "0198c0de-0000-7000-8000-000000000001", "accepted": 1, "rejected_count": 0, "rejected": []
})))]
pub struct RowsResponse {
    /// Names the rows' place in the stream, for `GET /v1/receipts/{id}`.
    pub receipt: String,
    pub accepted: u64,
    pub rejected_count: u64,
    /// The first 100 of them.
    pub rejected: Vec<RejectedRow>,
}

/// A row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RejectedRow {
    /// Its place in the request, from 0.
    pub index: u64,
    /// The column that is wrong, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong, as a stable word.
    pub code: String,
    pub detail: String,
}
