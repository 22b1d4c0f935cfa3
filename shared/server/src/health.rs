//! /livez, /readyz and /metrics.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use serde::Serialize;

use crate::extract::Json;
use crate::service::ReadyCheck;
use crate::shutdown::Shutdown;
use crate::starting::Starting;
use crate::telemetry;

#[derive(Clone)]
pub(crate) struct Health {
    pub checks: Vec<ReadyCheck>,
    /// Of a process that has not started yet.
    pub starting: Option<Starting>,
    pub shutdown: Shutdown,
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    /// What is not ready, and why.
    waiting_for: Vec<Waiting>,
}

#[derive(Serialize)]
struct Waiting {
    name: &'static str,
    detail: String,
}

pub(crate) fn routes(health: Health) -> Router {
    Router::new()
        .route("/livez", get(|| async { Json(serde_json::json!({"status": "live"})) }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> Response {
    let mut waiting_for: Vec<Waiting> = Vec::new();
    if health.shutdown.is_draining() {
        waiting_for.push(Waiting {
            name: "shutdown",
            detail: "the process is draining".to_owned(),
        });
    }
    if let Some(starting) = &health.starting {
        waiting_for.push(Waiting {
            name: "start",
            detail: "the process opens its backends".to_owned(),
        });
        let backends = starting.waiting_for().into_iter();
        waiting_for.extend(backends.map(|(name, detail)| Waiting { name, detail }));
    }
    for check in &health.checks {
        if let Err(detail) = (check.check)() {
            waiting_for.push(Waiting {
                name: check.name,
                detail,
            });
        }
    }
    let (code, status) = match waiting_for.as_slice() {
        [] => (StatusCode::OK, "ready"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    (code, Json(Readiness { status, waiting_for })).into_response()
}

async fn metrics() -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        telemetry::render(),
    )
        .into_response()
}
