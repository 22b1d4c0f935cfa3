//! `graph`.

use forebay_api::graph::{Graph, GraphQuery};

use super::Session;
use crate::cli::{GraphArgs, GraphDirection, GraphFormat};
use crate::exit::Failure;
use crate::table::{align_right, table, text};

pub async fn graph(session: &Session, args: GraphArgs) -> Result<(), Failure> {
    let direction = args.direction.map(|direction| match direction {
        GraphDirection::Upstream => "upstream",
        GraphDirection::Downstream => "downstream",
        GraphDirection::Both => "both",
    });
    let format = args.format.map(|format| match format {
        GraphFormat::Json => "json",
        GraphFormat::Dot => "dot",
        GraphFormat::Mermaid => "mermaid",
    });
    let query = GraphQuery {
        around: args.around,
        direction: direction.map(str::to_owned),
        format: Some(format.unwrap_or("json").to_owned()),
    };
    let answer = session.client.graph(&query).await?;
    let is_table = format.is_none() && !session.output.is_json();
    match is_table.then(|| serde_json::from_str::<Graph>(&answer)) {
        Some(Ok(graph)) => Ok(session.output.text(&rendered(&graph))?),
        _ => Ok(session.output.text(&answer)?),
    }
}

/// The groups by level, each with what it reads directly.
fn rendered(graph: &Graph) -> String {
    let mut table = table(["level", "group", "reads"]);
    align_right(&mut table, 0);
    for (level, groups) in graph.levels.iter().enumerate() {
        for group in groups {
            table.add_row([level.to_string(), group.clone(), reads(graph, group).join(", ")]);
        }
    }
    text(&table)
}

/// The sources and groups from which the group or one of its features has an edge.
fn reads(graph: &Graph, group: &str) -> Vec<String> {
    let group_of = |id: &str| match graph.nodes.iter().find(|node| node.id == id) {
        Some(node) if node.kind == "feature" => id.rsplit_once('.').map_or(id, |(group, _)| group).to_owned(),
        _ => id.to_owned(),
    };
    let into = graph.edges.iter().filter(|edge| group_of(&edge.to) == group);
    let mut reads: Vec<String> = into
        .map(|edge| group_of(&edge.from))
        .filter(|from| from != group)
        .collect();
    reads.sort();
    reads.dedup();
    reads
}

#[cfg(test)]
mod tests {
    use forebay_api::graph::{GraphEdge, GraphNode};

    use super::*;

    #[test]
    fn groups_stand_in_the_order_of_work() {
        let node = |id: &str, kind: &str| GraphNode {
            id: id.to_owned(),
            kind: kind.to_owned(),
            name: id.to_owned(),
            domain: "product".to_owned(),
            level: None,
        };
        let edge = |from: &str, to: &str| GraphEdge {
            from: from.to_owned(),
            to: to.to_owned(),
            kind: "value".to_owned(),
            column: None,
        };
        let graph = Graph {
            registry_revision: 1,
            nodes: vec![
                node("listings", "source"),
                node("product.value", "group"),
                node("product.value.price", "feature"),
                node("product.yield", "group"),
                node("product.yield.gross", "feature"),
            ],
            edges: vec![
                edge("listings", "product.value.price"),
                edge("product.value", "product.value.price"),
                edge("product.value.price", "product.yield.gross"),
                edge("product.value", "product.yield"),
            ],
            levels: vec![vec!["product.value".to_owned()], vec!["product.yield".to_owned()]],
        };
        insta::assert_snapshot!(rendered(&graph));
    }
}
