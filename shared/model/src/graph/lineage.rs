//! From what queries read to edges.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Edge, EdgeKind, NodeId};
use crate::{
    GroupName, Name,
    definitions::{DefinitionSet, Dependency, FeatureGroup},
};

/// What a group's computation reads, column by column. Found by analysing its SQL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// Sources and groups; those of which no column is read are among them.
    pub tables: BTreeSet<Dependency>,
    /// Feature -> the columns it depends on.
    pub features: BTreeMap<Name, BTreeSet<ColumnRead>>,
}

/// A column that is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnRead {
    /// A source or a group.
    pub table: Dependency,
    /// A source's column, or a group's feature, key or event time.
    pub column: String,
    pub kind: EdgeKind,
}

impl Lineage {
    /// What a streaming group reads as far as its definition says it without SQL: aggregated columns as values, keys as
    /// influence.
    #[must_use]
    pub fn of_streaming(group: &FeatureGroup, keys: &[Name]) -> Self {
        let Some(streaming) = &group.streaming else {
            return Self::default();
        };
        let read = |column: &str, kind| ColumnRead {
            table: streaming.source.clone(),
            column: column.to_owned(),
            kind,
        };
        let features = group.features.iter().map(|feature| {
            let of = feature.aggregate.as_ref().and_then(|aggregate| aggregate.of.as_deref());
            let value = of.map(|column| read(column, EdgeKind::Value));
            let influence = keys.iter().map(|key| read(key.as_str(), EdgeKind::Influence));
            (feature.name.clone(), value.into_iter().chain(influence).collect())
        });
        Self {
            tables: BTreeSet::from([streaming.source.clone()]),
            features: features.collect(),
        }
    }
}

/// The group that a dependency names or belongs to.
pub(super) fn group_of(dependency: &Dependency) -> Option<&GroupName> {
    match dependency {
        Dependency::Source(_) => None,
        Dependency::Group(group) => Some(group),
        Dependency::Feature(feature) => Some(feature.group()),
    }
}

/// Sources and groups that a group reads, whichever part of its definition says so.
pub(super) fn tables_read(group: &FeatureGroup, lineages: &BTreeMap<GroupName, Lineage>) -> BTreeSet<Dependency> {
    let mut tables = BTreeSet::new();
    if let Some(lineage) = lineages.get(&group.name) {
        tables.extend(lineage.tables.iter().cloned());
    }
    if let Some(batch) = &group.batch {
        let features = batch.inputs.values().flat_map(|input| &input.features);
        tables.extend(features.map(|used| Dependency::Group(used.feature.group().clone())));
    }
    if let Some(streaming) = &group.streaming {
        tables.insert(streaming.source.clone());
    }
    tables.extend(group.depends_on.iter().map(|dependency| match group_of(dependency) {
        Some(name) => Dependency::Group(name.clone()),
        None => dependency.clone(),
    }));
    tables
}

/// Every edge between registered objects, sorted, each once.
pub(super) fn edges(
    set: &DefinitionSet,
    lineages: &BTreeMap<GroupName, Lineage>,
    reads: &BTreeMap<GroupName, BTreeSet<Dependency>>,
) -> Vec<Edge> {
    let mut edges = BTreeSet::new();
    let mut add = |from: NodeId, to: &NodeId, kind, column| {
        if exists(set, &from) {
            let to = to.clone();
            edges.insert(Edge { from, to, kind, column });
        }
    };
    for group in set.groups() {
        let id = NodeId::Group(group.name.clone());
        if group.depends_on.is_empty() {
            for table in reads.get(&group.name).into_iter().flatten() {
                add(table.into(), &id, EdgeKind::Influence, None);
            }
        }
        for dependency in &group.depends_on {
            add(dependency.into(), &id, EdgeKind::Declared, None);
        }
        let lineage = lineages.get(&group.name);
        for feature in &group.features {
            let to = NodeId::Feature(group.name.feature(feature.name.clone()));
            add(id.clone(), &to, EdgeKind::Contains, None);
            let columns = lineage.and_then(|lineage| lineage.features.get(&feature.name));
            for read in columns.into_iter().flatten() {
                let (from, column) = origin(set, read);
                add(from, &to, read.kind, column);
            }
        }
    }
    for view in set.views() {
        let to = NodeId::View(view.name.clone());
        for used in &view.features {
            add(NodeId::Feature(used.feature.clone()), &to, EdgeKind::Value, None);
        }
    }
    edges.into_iter().collect()
}

/// The node that a column is or belongs to, and in the second case its name.
fn origin(set: &DefinitionSet, read: &ColumnRead) -> (NodeId, Option<String>) {
    if let Dependency::Group(name) = &read.table
        && let Some(feature) = set.group(name).and_then(|g| g.feature(&read.column))
    {
        return (NodeId::Feature(name.feature(feature.name.clone())), None);
    }
    ((&read.table).into(), Some(read.column.clone()))
}

fn exists(set: &DefinitionSet, id: &NodeId) -> bool {
    match id {
        NodeId::Source(name) => set.source(name).is_some(),
        NodeId::Group(name) => set.group(name).is_some(),
        NodeId::Feature(name) => set
            .group(name.group())
            .is_some_and(|group| group.feature(name.feature().as_str()).is_some()),
        NodeId::View(name) => set.view(name).is_some(),
    }
}
