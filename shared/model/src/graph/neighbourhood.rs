//! The part of the graph around a node.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{Graph, NodeId, NodeKind};

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
        }
    }

    /// Everything that depends on a node, directly or through others, itself not included.
    #[must_use]
    pub fn downstream(&self, center: &NodeId) -> BTreeSet<NodeId> {
        let mut kept = BTreeSet::from([center.clone()]);
        self.reach(center, &mut kept, |edge| (&edge.from, &edge.to));
        kept.remove(center);
        kept
    }

    /// The features, groups and views that read a node directly; for a group, those that read its keys or rows.
    pub fn direct_readers<'a>(&'a self, id: &'a NodeId) -> impl Iterator<Item = &'a NodeId> {
        self.edges
            .iter()
            .filter(move |edge| {
                &edge.from == id && !(id.kind() == NodeKind::Group && edge.kind == super::EdgeKind::Contains)
            })
            .map(|edge| &edge.to)
    }

    fn reach<'a>(
        &'a self,
        center: &NodeId,
        kept: &mut BTreeSet<NodeId>,
        step: impl Fn(&'a super::Edge) -> (&'a NodeId, &'a NodeId),
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
