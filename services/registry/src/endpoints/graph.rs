//! `GET /v1/graph`: what depends on what.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use forebay_api::{
    Code, Problem,
    graph::{Graph, GraphEdge, GraphNode, GraphQuery},
};
use forebay_model::graph::{self, Direction};
use forebay_server::{ApiResult, Json, Query};

use super::{objects::not_found, plan::word};
use crate::registry::Registry;

/// The dependency graph, whole or around a node: as JSON, for Graphviz, or for Mermaid.
#[utoipa::path(
    get, path = "/v1/graph", operation_id = "graph", params(GraphQuery),
    responses(
        (status = 200, description = "The graph", content(
            (Graph = "application/json"),
            (String = "text/vnd.graphviz"),
            (String = "text/plain"),
        )),
        (status = 404, description = "`not_found`: no node has this id or name"),
    )
)]
pub async fn graph(State(registry): State<Arc<Registry>>, Query(query): Query<GraphQuery>) -> ApiResult<Response> {
    let parameter = |name, detail: &str| Problem::parameter(Code::InvalidParameter, name, detail);
    let direction = match query.direction.as_deref() {
        None | Some("both") => Direction::Both,
        Some("upstream") => Direction::Upstream,
        Some("downstream") => Direction::Downstream,
        Some(_) => return Err(parameter("direction", "expected upstream, downstream or both").into()),
    };
    if query.direction.is_some() && query.around.is_none() {
        let detail = "`direction` goes with `around` only";
        return Err(Problem::parameter(Code::InvalidCombination, "direction", detail).into());
    }
    let snapshot = registry.catalog().current();
    let whole = snapshot.graph();
    let around = match &query.around {
        None => None,
        Some(text) => {
            let node = whole.find(text);
            let names = || whole.nodes().iter().map(|node| node.name.clone());
            let node = node.ok_or_else(|| not_found("node of the graph", "graph", text, names()))?;
            Some(whole.around(&node.id, direction))
        }
    };
    let graph = around.as_ref().unwrap_or(whole);
    Ok(match query.format.as_deref() {
        None | Some("json") => Json(answer(graph, snapshot.revision())).into_response(),
        Some("dot") => (
            [(header::CONTENT_TYPE, "text/vnd.graphviz; charset=utf-8")],
            graph.to_dot(),
        )
            .into_response(),
        Some("mermaid") => (
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            graph.to_mermaid(),
        )
            .into_response(),
        Some(_) => return Err(parameter("format", "expected json, dot or mermaid").into()),
    })
}

fn answer(graph: &graph::Graph, registry_revision: u64) -> Graph {
    let nodes = graph.nodes().iter().map(|node| GraphNode {
        id: node.id.to_string(),
        kind: word(&node.kind),
        name: node.name.clone(),
        domain: node.domain.to_string(),
        level: node.level,
    });
    let edges = graph.edges().iter().map(|edge| GraphEdge {
        from: edge.from.to_string(),
        to: edge.to.to_string(),
        kind: word(&edge.kind),
        column: edge.column.clone(),
    });
    let levels = graph.levels().iter();
    Graph {
        registry_revision,
        nodes: nodes.collect(),
        edges: edges.collect(),
        levels: levels
            .map(|level| level.iter().map(ToString::to_string).collect())
            .collect(),
    }
}
