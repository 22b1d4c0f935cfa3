//! `POST /v1/plan`, `POST /v1/apply` and `DELETE` of objects: changes of definitions and what they mean.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A bundle of definitions as JSON; as `application/yaml` each document is one object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"objects": [
    {"kind": "Domain", "name": "product", "owners": ["pricing"]},
    {"kind": "Entity", "name": "product", "domain": "product", "keys": [{"name": "product_id", "type": "int64"}]},
    {"kind": "FeatureGroup", "name": "product.value", "entities": ["product"], "features": [{"name": "sale_price", "type": "float64"}]}
]})))]
pub struct Bundle {
    /// Objects, each with `kind`, `name` and the fields of its kind.
    pub objects: Vec<Map<String, Value>>,
}

/// What a bundle changes, or has changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "registry_revision": 41,
    "changes": [{"kind": "FeatureGroup", "name": "product.yield", "action": "create", "revision": 1}],
    "recompute": ["product.yield"], "breaks": [], "affects": [{"reader": "fair_price", "why": "sql_changed"}]
})))]
pub struct Plan {
    /// Of a plan: the revision it was made for, to be sent as `If-Match` with the apply. Of an apply: the revision it made.
    pub registry_revision: u64,
    /// What becomes of each object of the bundle, and of those that it removes.
    pub changes: Vec<Change>,
    /// Batch groups whose rows are not yet what their definition says, in the order of work.
    pub recompute: Vec<String>,
    /// Readers that would lose what they read; an apply with any is refused.
    pub breaks: Vec<Break>,
    /// Features and views whose values come out differently from here on.
    pub affects: Vec<Affect>,
    /// What the bundle asks for and does not get, though it is no error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Of an apply: groups whose tables are still being made; they answer 503 until then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
}

/// Something that is registered and has no effect yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Warning {
    /// The object's name.
    pub object: String,
    /// not_computed_yet.
    pub code: String,
    pub detail: String,
}

/// What becomes of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// Domain, Entity, Source, FeatureGroup or FeatureView.
    pub kind: String,
    pub name: String,
    /// create, update, delete or none.
    pub action: String,
    /// The object's revision after the change.
    pub revision: u64,
}

/// A reader that loses what it reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Break {
    /// What changes: a feature, group, source, entity or domain.
    pub object: String,
    /// Who reads it: a feature or view; of an entity or domain, who names it.
    pub reader: String,
    /// removed, retyped, keys_changed or history_removed.
    pub why: String,
}

/// A reader whose values come out differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Affect {
    /// A feature or view.
    pub reader: String,
    /// sql_changed, inputs_changed, source_changed, windows_changed, checks_changed or ttl_changed.
    pub why: String,
}

/// Query parameters of plan and apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct ApplyQuery {
    /// Also delete what the bundle leaves out of the domains it names.
    #[serde(default)]
    pub prune: bool,
}

/// Query parameters of a deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct DeleteQuery {
    /// Also remove the data: a group's rows in every store.
    #[serde(default)]
    pub purge: bool,
}
