//! Nodes and edges.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    FeatureRef, GroupName, Name,
    definitions::{DefinitionSet, Dependency},
};

/// What a node stands for. As text: its name; a view's has `view:` before it, since a source may have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeId {
    Source(Name),
    Group(GroupName),
    Feature(FeatureRef),
    View(Name),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    Source,
    Group,
    Feature,
    View,
}

impl NodeId {
    #[must_use]
    pub fn kind(&self) -> NodeKind {
        match self {
            Self::Source(_) => NodeKind::Source,
            Self::Group(_) => NodeKind::Group,
            Self::Feature(_) => NodeKind::Feature,
            Self::View(_) => NodeKind::View,
        }
    }

    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Source(name) | Self::View(name) => name.to_string(),
            Self::Group(name) => name.to_string(),
            Self::Feature(name) => name.to_string(),
        }
    }
}

impl From<&Dependency> for NodeId {
    fn from(dependency: &Dependency) -> Self {
        match dependency {
            Dependency::Source(name) => Self::Source(name.clone()),
            Dependency::Group(name) => Self::Group(name.clone()),
            Dependency::Feature(name) => Self::Feature(name.clone()),
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View(name) => write!(f, "view:{name}"),
            other => f.write_str(&other.name()),
        }
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    pub id: NodeId,
    pub kind: NodeKind,
    pub name: String,
    pub domain: Name,
    /// Of a group and its features: its place in the order of work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<usize>,
}

/// `to` depends on `from`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Edge {
    pub from: NodeId,
    pub to: NodeId,
    pub kind: EdgeKind,
    /// The column of `from`, where `from` is a source or a group whose key or event time is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// Values come from there.
    Value,
    /// It decides which rows there are or how they meet: filter, join, group, order, window.
    Influence,
    /// The definition says so (`depends_on`).
    Declared,
    /// A group has the feature.
    Contains,
}

/// Every node of a set, by id.
pub(super) fn nodes(set: &DefinitionSet, levels: &BTreeMap<GroupName, usize>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut push = |id: NodeId, domain: &Name, level| {
        nodes.push(Node {
            kind: id.kind(),
            name: id.name(),
            id,
            domain: domain.clone(),
            level,
        });
    };
    for source in set.sources() {
        push(NodeId::Source(source.name.clone()), &source.domain, None);
    }
    for group in set.groups() {
        let level = levels.get(&group.name).copied();
        push(NodeId::Group(group.name.clone()), group.name.domain(), level);
        for feature in &group.features {
            let id = NodeId::Feature(group.name.feature(feature.name.clone()));
            push(id, group.name.domain(), level);
        }
    }
    for view in set.views() {
        push(NodeId::View(view.name.clone()), &view.domain, None);
    }
    nodes.sort_by(|a, b| a.id.cmp(&b.id));
    nodes
}
