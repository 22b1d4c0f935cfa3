//! The answer then: features as they were at each moment of a spine, in a period, or at one time.
//!
//! A request ([`request`]) is resolved against one registry revision into the groups, features and expressions it reads ([`plan`]) and a spine ([`spine`],
//! uploads in [`uploads`]); the engine joins them, each of its batches becomes one of the answer ([`answer`]), and that is written as it comes ([`encode`]).

mod answer;
mod encode;
mod endpoints;
mod inline_spine;
mod measures;
mod plan;
pub mod program;
mod query_error;
mod request;
mod spine;
mod state;
mod uploads;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use forebay_server::{RouteLimits, Service};
pub use measures::METRICS;
pub use program::Program;
pub use state::{Deps, Limits};
pub use uploads::SpineFolder;

const ABOUT: &str = "The answer then: features as they were, for spines, periods and moments.";

/// The service over its engine.
pub fn service(deps: Deps) -> Service {
    let limits = deps.limits;
    let uploads = uploads::Uploads::new(&deps);
    let measures = measures::Measures::new();
    let measured = Arc::clone(&measures);
    let state = Arc::new(state::State {
        deps,
        uploads,
        measures,
    });
    let sweeping = Arc::clone(&state);
    Service::new("offline-query", ABOUT, endpoints::routes(), state)
        .measured(move || measured.measure(limits.queries))
        .route_limits(
            "/v1/historical-features",
            RouteLimits {
                deadline: Some(limits.deadline()),
                max_requests: Some(limits.queries),
                ..RouteLimits::default()
            },
        )
        .route_limits(
            "/v1/spines",
            RouteLimits {
                deadline: Some(limits.deadline()),
                max_body_bytes: Some(limits.upload_bytes),
                max_requests: Some(limits.queries),
            },
        )
        .task(
            "spine-sweeper",
            |stop| async move { sweeping.uploads.sweep(stop).await },
        )
}

/// The service's OpenAPI document.
pub fn openapi() -> serde_json::Value {
    forebay_server::document("offline-query", ABOUT, endpoints::routes().into_openapi())
}
