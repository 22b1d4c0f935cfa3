//! The graph as a picture's source: DOT and Mermaid.

use std::{
    collections::HashMap,
    fmt::{self, Write},
};

use super::{Edge, EdgeKind, Graph, NodeKind};

impl Graph {
    /// For Graphviz: `dot -Tsvg`.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut out = String::from("digraph forebay {\n  rankdir=LR;\n");
        // Writing into a String never fails.
        let _ = self.write_dot(&mut out);
        out.push_str("}\n");
        out
    }

    fn write_dot(&self, out: &mut String) -> fmt::Result {
        for node in &self.nodes {
            let shape = match node.kind {
                NodeKind::Source => "cylinder",
                NodeKind::Group => "box3d",
                NodeKind::Feature => "box",
                NodeKind::View => "component",
            };
            writeln!(
                out,
                "  {} [label={}, shape={shape}];",
                quoted(&node.id.to_string()),
                quoted(&node.name)
            )?;
        }
        for edge in &self.edges {
            let style = match edge.kind {
                EdgeKind::Value => "solid",
                EdgeKind::Influence => "dashed",
                EdgeKind::Declared => "bold",
                EdgeKind::Contains => "dotted",
            };
            let label = label(edge);
            writeln!(
                out,
                "  {} -> {} [style={style}, label={}];",
                quoted(&edge.from.to_string()),
                quoted(&edge.to.to_string()),
                quoted(label)
            )?;
        }
        Ok(())
    }

    /// For Markdown that shows Mermaid.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        let _ = self.write_mermaid(&mut out);
        out
    }

    fn write_mermaid(&self, out: &mut String) -> fmt::Result {
        // Mermaid's ids cannot hold what names hold, so nodes are numbered.
        let ids: HashMap<_, _> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| (&node.id, index))
            .collect();
        for (index, node) in self.nodes.iter().enumerate() {
            let (open, close) = match node.kind {
                NodeKind::Source => ("[(", ")]"),
                NodeKind::Group => ("[[", "]]"),
                NodeKind::Feature => ("[", "]"),
                NodeKind::View => ("([", "])"),
            };
            writeln!(out, "  n{index}{open}\"{}\"{close}", entities(&node.name))?;
        }
        for edge in &self.edges {
            let (Some(from), Some(to)) = (ids.get(&edge.from), ids.get(&edge.to)) else {
                continue;
            };
            let arrow = match edge.kind {
                EdgeKind::Value => "-->",
                EdgeKind::Influence => "-.->",
                EdgeKind::Declared => "==>",
                EdgeKind::Contains => "---",
            };
            match label(edge) {
                "" => writeln!(out, "  n{from} {arrow} n{to}")?,
                text => writeln!(out, "  n{from} {arrow}|\"{}\"| n{to}", entities(text))?,
            }
        }
        Ok(())
    }
}

fn label(edge: &Edge) -> &str {
    edge.column.as_deref().unwrap_or_default()
}

/// A DOT string: column names of sources may hold anything.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace(['\n', '\r'], " ");
    format!("\"{escaped}\"")
}

fn entities(text: &str) -> String {
    text.replace('#', "#35;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
        .replace(['\n', '\r'], " ")
}
