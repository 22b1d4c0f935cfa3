//! Changes that take away what something reads.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use crate::{
    definitions::{Definition, DefinitionSet, FeatureGroup, Kind, ObjectId},
    graph::{Edge, EdgeKind, Graph, NodeId},
};

/// `object` changes so that `reader`, which stays as it is, cannot read it any longer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Break {
    pub object: String,
    pub reader: String,
    pub why: BreakReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakReason {
    Removed,
    Retyped,
    KeysChanged,
    /// The group keeps its past no longer.
    HistoryRemoved,
}

/// Every reader, in `before`, that loses what it reads in `after` and does not change with it. Readers are features and
/// views; the readers of entities and domains are the objects that name them.
#[must_use]
pub fn breaks(before: &DefinitionSet, graph: &Graph, after: &DefinitionSet) -> Vec<Break> {
    let mut found = BTreeSet::new();
    let edges = &graph.edges_from();
    for (id, old) in before.iter() {
        let new = after.get(id);
        if new == Some(old) {
            continue;
        }
        match (&**old, new.map(AsRef::as_ref)) {
            (Definition::Source(source), None) => {
                let node = NodeId::Source(source.name.clone());
                readers(&mut found, before, edges, after, &node, BreakReason::Removed);
            }
            (Definition::FeatureGroup(group), new) => {
                let new = match new {
                    Some(Definition::FeatureGroup(new)) => Some(new),
                    _ => None,
                };
                group_breaks(&mut found, before, edges, after, group, new);
            }
            (Definition::Entity(entity), new) => {
                let why = match new {
                    None => BreakReason::Removed,
                    Some(Definition::Entity(new)) if new.keys != entity.keys => BreakReason::KeysChanged,
                    Some(_) => continue,
                };
                let users = after.groups().filter(|group| {
                    group.entities.iter().any(|used| used.entity == entity.name)
                        && unchanged(before, after, Kind::FeatureGroup, &group.name.to_string())
                });
                found.extend(users.map(|group| Break {
                    object: entity.name.to_string(),
                    reader: group.name.to_string(),
                    why,
                }));
            }
            (Definition::Domain(domain), None) => {
                let members = after
                    .iter()
                    .filter(|(id, member)| id.kind != Kind::Domain && member.domain() == &domain.name);
                found.extend(members.map(|(id, _)| Break {
                    object: domain.name.to_string(),
                    reader: id.name.clone(),
                    why: BreakReason::Removed,
                }));
            }
            _ => {}
        }
    }
    found.into_iter().collect()
}

type Edges<'a> = HashMap<&'a NodeId, Vec<&'a Edge>>;

fn group_breaks(
    found: &mut BTreeSet<Break>,
    before: &DefinitionSet,
    edges: &Edges<'_>,
    after: &DefinitionSet,
    old: &FeatureGroup,
    new: Option<&FeatureGroup>,
) {
    let group = NodeId::Group(old.name.clone());
    if new.is_none() {
        readers(found, before, edges, after, &group, BreakReason::Removed);
    }
    let keys_before = before.group_keys(old).ok();
    let keys_after = new.and_then(|new| after.group_keys(new).ok());
    if new.is_some() && keys_before != keys_after {
        readers(found, before, edges, after, &group, BreakReason::KeysChanged);
    }
    if old.has_history() && new.is_some_and(|new| !new.has_history()) {
        readers(found, before, edges, after, &group, BreakReason::HistoryRemoved);
    }
    for feature in &old.features {
        let why = match new.and_then(|new| new.feature(feature.name.as_str())) {
            None => BreakReason::Removed,
            Some(new) if new.data_type != feature.data_type => BreakReason::Retyped,
            Some(_) => continue,
        };
        let node = NodeId::Feature(old.name.feature(feature.name.clone()));
        readers(found, before, edges, after, &node, why);
    }
}

/// The readers of `node` that stay as they are.
fn readers(
    found: &mut BTreeSet<Break>,
    before: &DefinitionSet,
    edges: &Edges<'_>,
    after: &DefinitionSet,
    node: &NodeId,
    why: BreakReason,
) {
    // A group's own features are no readers of it.
    let direct = edges
        .get(node)
        .into_iter()
        .flatten()
        .filter(|edge| edge.kind != EdgeKind::Contains);
    for reader in direct.map(|edge| &edge.to) {
        let (kind, object) = match reader {
            NodeId::Feature(feature) => (Kind::FeatureGroup, feature.group().to_string()),
            NodeId::Group(group) => (Kind::FeatureGroup, group.to_string()),
            NodeId::View(view) => (Kind::FeatureView, view.to_string()),
            NodeId::Source(_) => continue,
        };
        if unchanged(before, after, kind, &object) {
            found.insert(Break {
                object: node.name(),
                reader: reader.name(),
                why,
            });
        }
    }
}

/// Whether the object stays and reads what it read: changes of description alone do not mend it.
fn unchanged(before: &DefinitionSet, after: &DefinitionSet, kind: Kind, name: &str) -> bool {
    let id = ObjectId::new(kind, name);
    match (before.get(&id), after.get(&id)) {
        (Some(old), Some(new)) => old == new || reads_alike(old, new),
        _ => false,
    }
}

fn reads_alike(old: &Definition, new: &Definition) -> bool {
    match (old, new) {
        (Definition::FeatureGroup(old), Definition::FeatureGroup(new)) => {
            let reads = |group: &FeatureGroup| {
                (
                    group
                        .batch
                        .as_ref()
                        .map(|batch| (batch.sql.clone(), batch.inputs.clone())),
                    group.streaming.clone(),
                    group.entities.clone(),
                    group.depends_on.clone(),
                )
            };
            reads(old) == reads(new)
        }
        (Definition::FeatureView(old), Definition::FeatureView(new)) => old.features == new.features,
        _ => false,
    }
}
