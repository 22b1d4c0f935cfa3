//! The part of the graph around a node.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{Edge, EdgeKind, Graph, NodeId};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// What it depends on, directly or through others.
    Upstream,
    /// What depends on it.
    Downstream,
    #[default]
    Both,
}

impl Graph {
    /// The node, all that can be reached from it in a direction, and the edges between them. Levels keep their groups
    /// and their numbers; emptied ones stay, empty.
    #[must_use]
    pub fn around(&self, center: &NodeId, direction: Direction) -> Self {
        let mut kept = BTreeSet::from([center.clone()]);
        if direction != Direction::Downstream {
            self.reach(center, &mut kept, |edge| (&edge.to, &edge.from));
        }
        if direction != Direction::Upstream {
            self.reach(center, &mut kept, |edge| (&edge.from, &edge.to));
        }
        let groups: BTreeSet<_> = kept
            .iter()
            .filter_map(|id| match id {
                NodeId::Group(group) => Some(group),
                NodeId::Feature(feature) => Some(feature.group()),
                NodeId::Source(_) | NodeId::View(_) => None,
            })
            .collect();
        let mut levels: Vec<Vec<_>> = self
            .levels
            .iter()
            .map(|level| {
                let inside = level.iter().filter(|group| groups.contains(group));
                inside.cloned().collect()
            })
            .collect();
        while levels.last().is_some_and(Vec::is_empty) {
            levels.pop();
        }
        let nodes = self.nodes.iter().filter(|node| kept.contains(&node.id));
        let edges = self
            .edges
            .iter()
            .filter(|edge| kept.contains(&edge.from) && kept.contains(&edge.to));
        let reads = self.reads.iter().filter(|(group, _)| groups.contains(group));
        let readers = self.readers.iter().filter(|(group, _)| groups.contains(group));
        Self {
            nodes: nodes.cloned().collect(),
            edges: edges.cloned().collect(),
            levels,
            reads: reads.map(|(k, v)| (k.clone(), v.clone())).collect(),
            readers: readers.map(|(k, v)| (k.clone(), v.clone())).collect(),
            level_of: self.level_of.clone(),
        }
    }

    /// The features and views whose values depend on those of `groups` and `sources`. Features of `groups` are among them only
    /// where they depend on others of them.
    #[must_use]
    pub fn affected(&self, origins: impl IntoIterator<Item = NodeId>) -> BTreeSet<&NodeId> {
        let edges = self.edges_from();
        let mut open: Vec<(NodeId, bool)> = origins.into_iter().map(|id| (id, false)).collect();
        let mut seen: BTreeSet<(NodeId, bool)> = open.iter().cloned().collect();
        let mut found = BTreeSet::new();
        while let Some((id, affected)) = open.pop() {
            for edge in edges.get(&id).into_iter().flatten() {
                // A group that changes itself is no reader of its own; one that reads a changed one is, with all it has.
                let affected = affected || edge.kind != EdgeKind::Contains;
                if affected && matches!(edge.to, NodeId::Feature(_) | NodeId::View(_)) {
                    found.insert(&edge.to);
                }
                if seen.insert((edge.to.clone(), affected)) {
                    open.push((edge.to.clone(), affected));
                }
            }
        }
        found
    }

    /// The edges by the node that they come from.
    #[must_use]
    pub fn edges_from(&self) -> HashMap<&NodeId, Vec<&Edge>> {
        let mut edges: HashMap<&NodeId, Vec<&Edge>> = HashMap::new();
        for edge in &self.edges {
            edges.entry(&edge.from).or_default().push(edge);
        }
        edges
    }

    /// The edges by the node that they lead to.
    #[must_use]
    pub fn edges_to(&self) -> HashMap<&NodeId, Vec<&Edge>> {
        let mut edges: HashMap<&NodeId, Vec<&Edge>> = HashMap::new();
        for edge in &self.edges {
            edges.entry(&edge.to).or_default().push(edge);
        }
        edges
    }

    fn reach<'a>(
        &'a self,
        center: &NodeId,
        kept: &mut BTreeSet<NodeId>,
        step: impl Fn(&'a Edge) -> (&'a NodeId, &'a NodeId),
    ) {
        let mut next: HashMap<&NodeId, Vec<&NodeId>> = HashMap::new();
        for edge in &self.edges {
            let (from, to) = step(edge);
            next.entry(from).or_default().push(to);
        }
        let mut open = vec![center];
        // What the other direction has kept does not stop this one.
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            for found in next.get(id).into_iter().flatten() {
                if seen.insert(*found) {
                    kept.insert((*found).clone());
                    open.push(found);
                }
            }
        }
    }
}
