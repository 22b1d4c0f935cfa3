//! `GET /v1/graph`.

use serde::{Deserialize, Serialize};

/// Query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct GraphQuery {
    /// A node's id or name; without it, the whole graph.
    pub around: Option<String>,
    /// upstream, downstream or both; both by default. Only with `around`.
    pub direction: Option<String>,
    /// json, dot or mermaid; json by default.
    pub format: Option<String>,
}

/// What depends on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Graph {
    pub registry_revision: u64,
    pub nodes: Vec<GraphNode>,
    pub edges: Vec<GraphEdge>,
    /// Groups in the order of work: those of a level read only from levels before it.
    pub levels: Vec<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GraphNode {
    /// The name; of a view, `view:` and the name.
    pub id: String,
    /// source, group, feature or view.
    pub kind: String,
    pub name: String,
    pub domain: String,
    /// Of a group and its features: the place in the order of work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
}

/// `to` depends on `from`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GraphEdge {
    pub from: String,
    pub to: String,
    /// value: values come from there; influence: it decides which rows there are or how they meet; declared: the definition
    /// says so; contains: a group has the feature.
    pub kind: String,
    /// The column that is read, of a source, or of a group's keys and times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}
