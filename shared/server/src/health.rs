//! /livez, /readyz and /metrics.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use serde::Serialize;
use tokio::runtime::Handle;

use crate::extract::Json;
use crate::service::ReadyCheck;
use crate::shutdown::Shutdown;
use crate::starting::Starting;
use crate::telemetry::{self, Measure};

#[derive(Clone)]
pub(crate) struct Health {
    pub checks: Vec<ReadyCheck>,
    /// Of a process that has not started yet.
    pub starting: Option<Starting>,
    pub shutdown: Shutdown,
    /// Of all services and of the server.
    pub measures: Vec<Measure>,
    /// With their names.
    pub runtimes: Vec<(&'static str, Handle)>,
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

impl Health {
    /// What is not ready.
    fn waiting_for(&self) -> Vec<Waiting> {
        let mut waiting_for: Vec<Waiting> = Vec::new();
        if self.shutdown.is_draining() {
            waiting_for.push(Waiting {
                name: "shutdown",
                detail: "the process is draining".to_owned(),
            });
        }
        if let Some(starting) = &self.starting {
            waiting_for.push(Waiting {
                name: "start",
                detail: "the process opens its backends".to_owned(),
            });
            let backends = starting.waiting_for().into_iter();
            waiting_for.extend(backends.map(|(name, detail)| Waiting { name, detail }));
        }
        for check in &self.checks {
            if let Err(detail) = (check.check)() {
                waiting_for.push(Waiting {
                    name: check.name,
                    detail,
                });
            }
        }
        waiting_for
    }
}

async fn ready(State(health): State<Health>) -> Response {
    let waiting_for = health.waiting_for();
    let (code, status) = match waiting_for.as_slice() {
        [] => (StatusCode::OK, "ready"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    (code, Json(Readiness { status, waiting_for })).into_response()
}

async fn metrics(State(health): State<Health>) -> Response {
    let ready = health.waiting_for().is_empty();
    metrics::gauge!("forebay_ready").set(f64::from(u8::from(ready)));
    let runtimes: Vec<_> = health
        .runtimes
        .iter()
        .map(|(name, runtime)| (*name, runtime.metrics()))
        .collect();
    let text = telemetry::scrape(&health.measures, &runtimes);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
