//! Objects as answers: their canonical form, their revision, and what the registry knows about them beside it.

use std::collections::{BTreeMap, HashMap};

use forebay_catalog::{Group, Record, Snapshot};
use forebay_model::{
    definitions::{Definition, Feature, FeatureGroup, Kind},
    graph::{EdgeKind, NodeId},
};
use forebay_server::ApiError;
use serde_json::{Map, Value, json};

/// The object of a record. `current` is the snapshot if the record is the object's newest revision: levels, readiness and readers
/// are of today only.
///
/// # Errors
/// When a definition cannot be written as JSON.
pub fn object(record: &Record, revision: u64, current: Option<&Snapshot>) -> Result<Value, ApiError> {
    let mut answer = fields(&*record.definition)?;
    answer.insert("revision".to_owned(), json!(revision));
    if let (Definition::FeatureGroup(group), Some(state)) = (&*record.definition, &record.group) {
        answer.insert("keys".to_owned(), json!(state.schema.keys));
        answer.insert("way_in".to_owned(), json!(group.way_in()));
        let reads: Vec<String> = match current {
            Some(snapshot) => snapshot.graph().reads(&group.name).map(ToString::to_string).collect(),
            None => state.lineage.tables.iter().map(ToString::to_string).collect(),
        };
        answer.insert("reads".to_owned(), json!(reads));
        if let Some(snapshot) = current {
            answer.insert("level".to_owned(), json!(snapshot.graph().level(&group.name)));
            if let Ok(group) = snapshot.group(&group.name) {
                answer.insert("ready".to_owned(), json!(group.is_ready()));
                if let Some(reason) = group.readiness.reason() {
                    answer.insert("not_ready_reason".to_owned(), json!(reason));
                }
            }
        }
    }
    Ok(Value::Object(answer))
}

/// One feature of a group of the snapshot.
///
/// # Errors
/// When a definition cannot be written as JSON.
pub fn feature(snapshot: &Snapshot, group: &Group, feature: &Feature) -> Result<Value, ApiError> {
    let keys = json!(group.keys());
    let mut answer = old_feature(snapshot, group.definition(), feature, group.revision, keys)?;
    let id = NodeId::Feature(group.name.feature(feature.name.clone()));
    let own = NodeId::Group(group.name.clone());
    let ends = snapshot.extensions().get_or_insert_with(|| Ends::of(snapshot));
    let mut upstream = ends.upstream.get(&id).cloned().unwrap_or_default();
    // What is declared for a group holds for all its features.
    upstream.extend(ends.declared.get(&own).cloned().unwrap_or_default());
    let downstream = ends.downstream.get(&id).cloned().unwrap_or_default();
    for (name, edges) in [("upstream", upstream), ("downstream", downstream)] {
        if !edges.is_empty() {
            answer.insert(name.to_owned(), Value::Array(edges));
        }
    }
    Ok(Value::Object(answer))
}

/// The other ends of every node's edges, as answers. Made once per snapshot.
struct Ends {
    upstream: HashMap<NodeId, Vec<Value>>,
    declared: HashMap<NodeId, Vec<Value>>,
    downstream: HashMap<NodeId, Vec<Value>>,
}

impl Ends {
    fn of(snapshot: &Snapshot) -> Self {
        let mut ends = Self {
            upstream: HashMap::new(),
            declared: HashMap::new(),
            downstream: HashMap::new(),
        };
        for edge in snapshot.graph().edges() {
            if edge.kind == EdgeKind::Contains {
                continue;
            }
            let end = |other: &NodeId| {
                let mut end = json!({"id": other, "kind": edge.kind});
                if let Some(column) = &edge.column {
                    end["column"] = json!(column);
                }
                end
            };
            let to = match edge.kind {
                EdgeKind::Declared => &mut ends.declared,
                _ => &mut ends.upstream,
            };
            to.entry(edge.to.clone()).or_default().push(end(&edge.from));
            ends.downstream
                .entry(edge.from.clone())
                .or_default()
                .push(end(&edge.to));
        }
        ends
    }
}

/// A feature of any revision of its group.
///
/// # Errors
/// When a definition cannot be written as JSON.
pub fn old_feature(
    snapshot: &Snapshot,
    group: &FeatureGroup,
    feature: &Feature,
    revision: u64,
    keys: Value,
) -> Result<Map<String, Value>, ApiError> {
    let mut answer = fields(feature)?;
    answer.insert("name".to_owned(), json!(format!("{}.{}", group.name, feature.name)));
    answer.insert("group".to_owned(), json!(group.name));
    answer.insert("revision".to_owned(), json!(revision));
    answer.insert("keys".to_owned(), keys);
    let owners = feature_owners(snapshot, group, feature);
    if !owners.is_empty() {
        answer.insert("owners".to_owned(), json!(owners));
    }
    let tags = feature_tags(group, feature);
    if !tags.is_empty() {
        answer.insert("tags".to_owned(), json!(tags));
    }
    Ok(answer)
}

fn fields(object: &impl serde::Serialize) -> Result<Map<String, Value>, ApiError> {
    match serde_json::to_value(object).map_err(ApiError::internal)? {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

/// A feature's owners: its own, else its group's, else its domain's.
pub fn feature_owners(snapshot: &Snapshot, group: &FeatureGroup, feature: &Feature) -> Vec<String> {
    if feature.metadata.owners.is_empty() {
        group_owners(snapshot, group)
    } else {
        feature.metadata.owners.clone()
    }
}

fn group_owners(snapshot: &Snapshot, group: &FeatureGroup) -> Vec<String> {
    owners(snapshot, &Definition::FeatureGroup(group.clone()))
}

/// An object's owners: its own, else its domain's.
pub fn owners(snapshot: &Snapshot, definition: &Definition) -> Vec<String> {
    let own = &definition.metadata().owners;
    if !own.is_empty() {
        return own.clone();
    }
    let domain = snapshot.definitions().domain(definition.domain());
    domain.map(|domain| domain.metadata.owners.clone()).unwrap_or_default()
}

/// A feature's tags: its group's and its own, which win.
pub fn feature_tags(group: &FeatureGroup, feature: &Feature) -> BTreeMap<String, String> {
    let mut tags = group.metadata.tags.clone();
    tags.extend(feature.metadata.tags.clone());
    tags
}

/// The kind's word in paths.
pub const fn path_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Domain => "domains",
        Kind::Entity => "entities",
        Kind::Source => "sources",
        Kind::FeatureGroup => "groups",
        Kind::FeatureView => "views",
    }
}
