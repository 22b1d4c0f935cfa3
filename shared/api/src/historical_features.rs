//! `POST /v1/historical-features`: features as they were.

use std::collections::BTreeMap;

use forebay_model::{Duration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::online_features::Int64Form;

/// Asks for features by name, or for all that a view lists, at the moments of a spine, in a period, or at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "features": ["product.value.sale_price"],
    "spine": {"columns": {"product_id": [1], "event_time": ["2026-02-01T00:00:00Z"], "label": [0]}}
})))]
pub struct HistoricalFeaturesRequest {
    /// Full names of features. Either these or `view`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// The name of a feature view. Either this or `features`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// The view's revision; without it, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The keys and times asked for. One of `spine`, `period` and `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spine: Option<Spine>,
    /// Every key and event time at which one of the groups has a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Period>,
    /// One row per key that has a visible row at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub at: Option<Timestamp>,
    /// With `period` or `at`: only these keys, column by column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<BTreeMap<String, Vec<Value>>>,
    /// Only rows that had come in by this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub known_at: Option<Timestamp>,
    /// The spine's column with that time, row by row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_at_column: Option<String>,
    /// Withhold values older than this, such as `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "1h"))]
    pub max_age: Option<Duration>,
    /// What the answer holds of each feature; values by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<HistoricalInclude>>,
    /// How int64 values are written in JSON; `number` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int64: Option<Int64Form>,
}

/// Keys and times: exactly one of `columns`, `uri` and `id`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Spine {
    /// In the request, column by column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<BTreeMap<String, Vec<Value>>>,
    /// A Delta table, Parquet or CSV file under the configured roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// An upload, from `POST /v1/spines`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The column with the time, if it is not called `event_time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<String>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Period {
    /// Included; without it, from the first row on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub start: Option<Timestamp>,
    /// Excluded; without it, to the last row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub end: Option<Timestamp>,
}

/// What an answer holds of each feature: its value, `<name>__status`, `<name>__event_timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HistoricalInclude {
    Values,
    Statuses,
    EventTimestamps,
}

/// The answer as JSON, column by column; Arrow, Parquet and CSV hold the same columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoricalFeaturesResponse {
    /// The spine's columns, then the features as asked.
    pub columns: Vec<HistoricalColumn>,
    pub metadata: HistoricalMetadata,
}

/// One column of the answer, an element for each row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoricalColumn {
    pub name: String,
    /// As definitions write it.
    pub r#type: String,
    pub values: Vec<Value>,
}

/// What the answer was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoricalMetadata {
    pub registry_revision: u64,
    /// Of the view that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_revision: Option<u64>,
    pub rows: u64,
    /// Features whose values are today's, whatever the time asked for.
    #[serde(default)]
    pub not_point_in_time: Vec<String>,
    /// Groups that have not settled to `known_at` yet, with the time they have: rows taken in between may still be missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub not_settled: BTreeMap<String, Timestamp>,
    /// The versions of the groups' Delta tables.
    #[serde(default)]
    pub table_versions: BTreeMap<String, u64>,
}
