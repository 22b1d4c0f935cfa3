//! A service whose endpoints do what tests need.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use futures::StreamExt;
use reqwest::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{ApiResult, Body, Json, Path, Query, RawBody, RequestContext, RouteLimits, Service};

/// Lets a test see that a handler has begun, and end it.
#[derive(Clone, Default)]
pub struct Gate {
    pub entered: Arc<Notify>,
    pub open: Arc<Notify>,
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Thing {
    pub size: u8,
    #[serde(default)]
    pub parts: BTreeMap<String, Vec<i64>>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub struct ListQuery {
    pub q: Option<String>,
}

#[utoipa::path(post, path = "/v1/things", request_body = Thing, responses((status = 200, body = Thing)))]
async fn make(Json(thing): Json<Thing>) -> Json<Thing> {
    Json(thing)
}

#[utoipa::path(get, path = "/v1/things", params(ListQuery), responses((status = 200, body = String)))]
async fn list(Query(query): Query<ListQuery>) -> Json<String> {
    Json(query.q.unwrap_or_default())
}

#[utoipa::path(get, path = "/v1/things/{number}", params(("number" = u32, Path)), responses((status = 200, body = u32)))]
async fn get(Path(number): Path<u32>) -> Json<u32> {
    Json(number)
}

#[utoipa::path(get, path = "/v1/panic", responses((status = 200, body = u32)))]
async fn panic() -> Json<u32> {
    panic!("a secret of the handler")
}

#[utoipa::path(get, path = "/v1/gated", responses((status = 200, body = String)))]
async fn gated(State(gate): State<Gate>) -> Json<&'static str> {
    gate.entered.notify_one();
    gate.open.notified().await;
    Json("through")
}

#[utoipa::path(get, path = "/v1/one-at-a-time", responses((status = 200, body = String)))]
async fn one_at_a_time(State(gate): State<Gate>) -> Json<&'static str> {
    gate.entered.notify_one();
    gate.open.notified().await;
    Json("through")
}

#[utoipa::path(get, path = "/v1/hurried", responses((status = 200, body = String)))]
async fn hurried() {
    std::future::pending::<()>().await;
}

#[utoipa::path(post, path = "/v1/bytes", request_body = Vec<u8>, responses((status = 200, body = usize)))]
async fn bytes(body: RawBody) -> Json<(Option<String>, usize)> {
    Json((body.media_type, body.bytes.len()))
}

#[utoipa::path(post, path = "/v1/stream", request_body = Vec<u8>, responses((status = 200, body = usize)))]
async fn stream(body: Body) -> ApiResult<Json<usize>> {
    let mut chunks = body.into_stream();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        length += chunk?.len();
    }
    Ok(Json(length))
}

#[utoipa::path(get, path = "/v1/events", responses((status = 200, body = String)))]
async fn events(context: RequestContext) -> axum::body::Body {
    let ticks = futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, std::convert::Infallible>("tick\n"), ()))
    });
    let shutdown = context.shutdown;
    axum::body::Body::from_stream(ticks.take_until(async move { shutdown.draining().await }))
}

pub fn service(gate: Gate) -> Service {
    let routes = OpenApiRouter::new()
        .routes(routes!(make, list))
        .routes(routes!(get))
        .routes(routes!(panic))
        .routes(routes!(gated))
        .routes(routes!(one_at_a_time))
        .routes(routes!(hurried))
        .routes(routes!(bytes))
        .routes(routes!(stream))
        .routes(routes!(events));
    Service::new("things", "Things to test with.", routes, gate)
        .route_limits(
            "/v1/one-at-a-time",
            RouteLimits {
                max_requests: Some(1),
                ..RouteLimits::default()
            },
        )
        .route_limits(
            "/v1/hurried",
            RouteLimits {
                deadline: Some(Duration::from_millis(50)),
                ..RouteLimits::default()
            },
        )
        .route_limits(
            "/v1/bytes",
            RouteLimits {
                max_body_bytes: Some(1000),
                ..RouteLimits::default()
            },
        )
        .route_limits(
            "/v1/stream",
            RouteLimits {
                max_body_bytes: Some(1000),
                ..RouteLimits::default()
            },
        )
}

/// The status, the code and the first place of a problem response.
pub async fn problem(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.expect("a problem");
    assert_eq!(problem["status"], status);
    let error = &problem["errors"][0];
    let place = error["pointer"]
        .as_str()
        .or(error["parameter"].as_str())
        .unwrap_or_default();
    (
        status,
        problem["code"].as_str().unwrap_or_default().to_owned(),
        place.to_owned(),
    )
}

pub fn expected(status: u16, code: &str, place: &str) -> (u16, String, String) {
    (status, code.to_owned(), place.to_owned())
}
