//! What a change means for what stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    GroupName, Name,
    definitions::{Definition, DefinitionSet, Dependency, FeatureGroup, Source, WayIn},
    graph::{Graph, NodeId},
};

/// `reader` reads something, directly or through others, whose values come out differently from here on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Affect {
    pub reader: String,
    pub why: AffectReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AffectReason {
    SqlChanged,
    InputsChanged,
    SourceChanged,
    WindowsChanged,
    ChecksChanged,
    TtlChanged,
}

/// The features and views downstream of groups and sources that change in what they say. `graph` is that of `after`.
#[must_use]
pub fn affects(before: &DefinitionSet, after: &DefinitionSet, graph: &Graph) -> Vec<Affect> {
    let mut origins: BTreeMap<AffectReason, BTreeSet<NodeId>> = BTreeMap::new();
    for (id, old) in before.iter() {
        match (&**old, after.get(id).map(AsRef::as_ref)) {
            (Definition::Source(old), Some(Definition::Source(new))) => {
                let reads = |s: &Source| (s.delta.clone(), s.kafka.clone(), s.event_time.clone());
                if reads(old) != reads(new) {
                    let node = NodeId::Source(old.name.clone());
                    origins.entry(AffectReason::SourceChanged).or_default().insert(node);
                }
            }
            (Definition::FeatureGroup(old), Some(Definition::FeatureGroup(new))) => {
                for why in group_reasons(old, new) {
                    let nodes = origins.entry(why).or_default();
                    nodes.insert(NodeId::Group(old.name.clone()));
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for (why, origins) in origins {
        let readers = graph.affected(origins);
        found.extend(readers.into_iter().map(|reader| Affect {
            reader: reader.name(),
            why,
        }));
    }
    found.into_iter().collect()
}

fn group_reasons(old: &FeatureGroup, new: &FeatureGroup) -> Vec<AffectReason> {
    let mut reasons = Vec::new();
    if let (Some(old), Some(new)) = (&old.batch, &new.batch) {
        if old.sql != new.sql {
            reasons.push(AffectReason::SqlChanged);
        }
        if old.inputs != new.inputs {
            reasons.push(AffectReason::InputsChanged);
        }
    }
    let shared = || {
        old.features
            .iter()
            .filter_map(|f| Some((f, new.feature(f.name.as_str())?)))
    };
    if old.streaming != new.streaming || shared().any(|(old, new)| old.aggregate != new.aggregate) {
        reasons.push(AffectReason::WindowsChanged);
    }
    if shared().any(|(old, new)| old.checks != new.checks) {
        reasons.push(AffectReason::ChecksChanged);
    }
    if old.ttl != new.ttl {
        reasons.push(AffectReason::TtlChanged);
    }
    reasons
}

/// Batch groups whose rows are not what their definition says: created ones, those with a changed query, changed inputs,
/// added features or changed sources, and the batch groups downstream of all these. In the order of work.
#[must_use]
pub fn recompute(before: &DefinitionSet, after: &DefinitionSet, graph: &Graph) -> Vec<GroupName> {
    let sources: BTreeMap<&Name, bool> = after
        .sources()
        .map(|new| {
            let old = before.source(&new.name);
            let same = old.is_none_or(|old| (&old.delta, &old.event_time) == (&new.delta, &new.event_time));
            (&new.name, !same)
        })
        .collect();
    let reads_changed_source = |group: &FeatureGroup| {
        graph.reads(&group.name).any(|read| match read {
            Dependency::Source(name) => sources.get(name).copied().unwrap_or_default(),
            Dependency::Group(_) | Dependency::Feature(_) => false,
        })
    };
    let changed: BTreeSet<GroupName> = after
        .groups()
        .filter(|group| group.way_in() == WayIn::Batch)
        .filter(|group| reads_changed_source(group) || differs(before.group(&group.name), group))
        .map(|group| group.name.clone())
        .collect();
    let mut all = graph.downstream_groups(&changed);
    all.retain(|name| after.group(name).is_some_and(|group| group.way_in() == WayIn::Batch));
    all.extend(changed);
    graph.in_order(&all)
}

fn differs(old: Option<&FeatureGroup>, new: &FeatureGroup) -> bool {
    let Some(old) = old else {
        return true;
    };
    let query = |group: &FeatureGroup| {
        group
            .batch
            .as_ref()
            .map(|batch| (batch.sql.clone(), batch.inputs.clone()))
    };
    let added = new
        .features
        .iter()
        .any(|feature| old.feature(feature.name.as_str()).is_none());
    added || query(old) != query(new)
}
