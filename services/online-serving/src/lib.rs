//! The answer now: the newest values of features, by name or by view, for many entities at once.
//!
//! A request is read without copying ([`request`]), finds the plan compiled for its list or view ([`plan`], kept by [`plans`] and [`openings`]), reads all groups in one
//! call to the store ([`read`]), evaluates the view's expressions ([`answer`]) and is written column by column straight from packed rows ([`json`]).

mod answer;
mod arrow_ipc;
mod columns;
mod endpoints;
mod json;
mod measures;
mod openings;
mod plan;
mod plans;
pub mod program;
mod read;
mod request;
mod serve;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use forebay_server::Service;
pub use measures::METRICS;
pub use program::Program;
pub use state::{Deps, Limits};

const ABOUT: &str = "The answer now: the newest values of features for entities, by name or by view.";

/// The service over its stores.
pub fn service(deps: Deps) -> Service {
    forebay_telemetry::describe(METRICS);
    Service::new("online-serving", ABOUT, endpoints::routes(), Arc::new(deps))
}

/// The service's OpenAPI document.
pub fn openapi() -> serde_json::Value {
    forebay_server::document("online-serving", ABOUT, endpoints::routes().into_openapi())
}
