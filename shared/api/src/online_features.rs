//! `POST /v1/online-features`: the newest values of features for some entities.

use std::collections::BTreeMap;

use forebay_model::{DataType, Duration, Status, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks for features by name, or for all that a view lists. Columns of `entities` and `request` have one length; length 1 is repeated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "features": ["product.value.sale_price", "product.yield.gross_yield"],
    "entities": {"product_id": [1, 2]}
})))]
pub struct OnlineFeaturesRequest {
    /// Full names of features. Either these or `view`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// The name of a feature view. Either this or `features`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// The view's revision; without it, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The keys, column by column.
    pub entities: BTreeMap<String, Vec<Value>>,
    /// The view's request features, column by column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub request: BTreeMap<String, Vec<Value>>,
    /// Withhold values older than this, such as `1h`, also where a group's ttl is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "1h"))]
    pub max_age: Option<Duration>,
    /// Fail the whole request when one group cannot be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// What the columns hold; all three by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<OnlineInclude>>,
    /// How int64 values are written; `number` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int64: Option<Int64Form>,
}

/// A part of every column of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OnlineInclude {
    Values,
    Statuses,
    EventTimestamps,
}

/// How JSON carries an int64: as a number, or as a string for readers whose numbers are floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Int64Form {
    #[default]
    Number,
    String,
}

/// The answer, column by column: keys, features in the order asked, request features, expressions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "metadata": {"feature_names": ["product_id", "product.value.sale_price"], "types": ["int64", "float64"], "view_revision": null},
    "results": [
        {"values": [1, 2], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": [null, null]},
        {"values": [450000.0, null], "statuses": ["PRESENT", "NOT_FOUND"], "event_timestamps": ["2026-01-02T03:04:05.000006Z", null]}
    ]
})))]
pub struct OnlineFeaturesResponse {
    pub metadata: OnlineMetadata,
    /// One per name in `metadata.feature_names`.
    pub results: Vec<OnlineColumn>,
}

/// What the columns of the answer are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OnlineMetadata {
    pub feature_names: Vec<String>,
    /// Their types, as definitions write them.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub types: Vec<DataType>,
    /// The revision of the view that was asked for; null for a list of features.
    pub view_revision: Option<u64>,
}

/// One column of the answer, an element for each entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OnlineColumn {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    pub statuses: Option<Vec<Status>>,
    /// The event time of the winning row, also where its value is null or withheld; null for keys, request features and expressions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<Option<String>>>))]
    pub event_timestamps: Option<Vec<Option<Timestamp>>>,
}
