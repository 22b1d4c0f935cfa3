//! `POST /get-online-features`: the same answer in the form that Feast's clients send and read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request as Feast's feature servers take it. Names may be written `group:feature`, `group__feature` or in full.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "features": ["product.value:sale_price"],
    "entities": {"product_id": [1, 2]},
    "full_feature_names": true
})))]
pub struct FeastRequest {
    /// The name of a feature view. Either this or `features`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_service: Option<String>,
    /// References to features. Either these or `feature_service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// The keys, column by column.
    pub entities: BTreeMap<String, Vec<Value>>,
    /// Request features, column by column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_context: Option<BTreeMap<String, Vec<Value>>>,
    /// Taken and ignored: groups have no versions of this kind.
    #[serde(default)]
    pub include_feature_view_version_metadata: bool,
    /// Whether features are named `group__feature` in the answer, or by their last part.
    #[serde(default)]
    pub full_feature_names: bool,
}

/// The answer as Feast's feature servers give it, column by column: keys, then features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeastResponse {
    pub metadata: FeastMetadata,
    /// One per name in `metadata.feature_names`.
    pub results: Vec<FeastColumn>,
}

/// What the columns of the answer are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeastMetadata {
    pub feature_names: Vec<String>,
}

/// One column of the answer, an element for each entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeastColumn {
    pub values: Vec<Value>,
    pub statuses: Vec<String>,
    /// RFC 3339; 1970-01-01T00:00:00Z where there is none.
    pub event_timestamps: Vec<String>,
}
