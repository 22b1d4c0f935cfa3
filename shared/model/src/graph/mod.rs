//! What depends on what: sources, groups, features and views, and the order of work that follows.

mod levels;
mod lineage;
mod neighbourhood;
mod node;
mod render;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use levels::Cycle;
pub use lineage::{ColumnRead, Lineage};
pub use neighbourhood::Direction;
pub use node::{Edge, EdgeKind, Node, NodeId, NodeKind};

use crate::{
    GroupName,
    definitions::{DefinitionSet, Dependency},
};

/// The dependency graph of an installation. Edges go from what is read to what reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// Groups in the order of work: those of a level read only from levels before it, and can be computed in parallel.
    levels: Vec<Vec<GroupName>>,
    /// What each group reads.
    #[serde(skip)]
    reads: BTreeMap<GroupName, BTreeSet<Dependency>>,
    #[serde(skip)]
    readers: BTreeMap<GroupName, BTreeSet<GroupName>>,
    #[serde(skip)]
    level_of: BTreeMap<GroupName, usize>,
}

impl Graph {
    /// The graph of a set whose batch queries read what `lineages` say. Names that are not registered are left out.
    ///
    /// # Errors
    /// A cycle of groups, with its path.
    pub fn build(set: &DefinitionSet, lineages: &BTreeMap<GroupName, Lineage>) -> Result<Self, Cycle> {
        let reads: BTreeMap<_, _> = set
            .groups()
            .map(|group| (group.name.clone(), lineage::tables_read(group, lineages)))
            .collect();
        let dependencies = reads
            .iter()
            .map(|(name, tables)| {
                let groups = tables.iter().filter_map(lineage::group_of);
                let known = groups.filter(|group| reads.contains_key(*group)).cloned();
                (name.clone(), known.collect::<BTreeSet<_>>())
            })
            .collect::<BTreeMap<_, _>>();
        let levels = levels::levels(&dependencies)?;
        let level_of: BTreeMap<GroupName, usize> = levels
            .iter()
            .enumerate()
            .flat_map(|(level, groups)| groups.iter().map(move |group| (group.clone(), level)))
            .collect();
        let nodes = node::nodes(set, &level_of);
        let edges = lineage::edges(set, lineages, &reads);
        let mut readers: BTreeMap<GroupName, BTreeSet<GroupName>> = BTreeMap::new();
        for (reader, read) in &dependencies {
            for group in read {
                readers.entry(group.clone()).or_default().insert(reader.clone());
            }
        }
        Ok(Self {
            nodes,
            edges,
            levels,
            reads,
            readers,
            level_of,
        })
    }

    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    #[must_use]
    pub fn levels(&self) -> &[Vec<GroupName>] {
        &self.levels
    }

    /// The level of a group; 0 reads no group.
    #[must_use]
    pub fn level(&self, group: &GroupName) -> Option<usize> {
        self.level_of.get(group).copied()
    }

    /// The sources and groups that a group reads directly.
    pub fn reads(&self, group: &GroupName) -> impl Iterator<Item = &Dependency> {
        self.reads.get(group).into_iter().flatten()
    }

    /// The groups that read a group directly.
    pub fn readers(&self, group: &GroupName) -> impl Iterator<Item = &GroupName> {
        self.readers.get(group).into_iter().flatten()
    }

    /// The groups that read any of `groups`, directly or through others, without `groups` themselves unless they do.
    #[must_use]
    pub fn downstream_groups<'a>(&self, groups: impl IntoIterator<Item = &'a GroupName>) -> BTreeSet<GroupName> {
        let mut found = BTreeSet::new();
        let mut open: Vec<GroupName> = groups.into_iter().cloned().collect();
        while let Some(group) = open.pop() {
            for reader in self.readers(&group) {
                if found.insert(reader.clone()) {
                    open.push(reader.clone());
                }
            }
        }
        found
    }

    /// `groups` in the order of work: level by level, by name within a level.
    #[must_use]
    pub fn in_order(&self, groups: &BTreeSet<GroupName>) -> Vec<GroupName> {
        self.levels
            .iter()
            .flatten()
            .filter(|group| groups.contains(*group))
            .cloned()
            .collect()
    }

    /// The node of that id, or the only one of that name.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<&Node> {
        self.nodes
            .iter()
            .find(|node| node.id.to_string() == text)
            .or_else(|| self.nodes.iter().find(|node| node.id.name() == text))
    }
}
