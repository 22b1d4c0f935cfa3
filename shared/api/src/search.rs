//! `GET /v1/search`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Query parameters; all that are given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct SearchQuery {
    /// Words; each must stand in the name or the description, in any case.
    pub q: Option<String>,
    /// Domain, Entity, Source, FeatureGroup, Feature or FeatureView.
    pub kind: Option<String>,
    pub domain: Option<String>,
    /// One of its owners; those of a feature are its own, else its group's, else its domain's.
    pub owner: Option<String>,
    /// `name:value`; a feature has its group's tags too.
    pub tag: Option<String>,
    /// 1 to 1000; 100 by default.
    pub page_size: Option<u32>,
    /// The `next_page_token` of the page before.
    pub page_token: Option<String>,
}

/// An object or feature that matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Found {
    /// Domain, Entity, Source, FeatureGroup, Feature or FeatureView.
    pub kind: String,
    pub name: String,
    pub domain: String,
    /// Of the object; of a feature, its group's.
    pub revision: u64,
    /// Of a feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// One page of what was found: best matches first, then by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchPage {
    pub items: Vec<Found>,
    /// Send it as `page_token` to get the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}
