//! The way in: rows from callers into the row log, and from there and from commits into both stores.
//!
//! A request is decoded into packed rows ([`intake`]), acknowledged once the row log holds them, and its receipt names their positions there ([`receipt`]).
//! Two independent sinks bring the log online and offline.

mod background;
mod endpoints;
pub mod follower;
mod holds;
mod housekeeping;
pub mod in_flight;
mod intake;
mod measures;
pub mod program;
mod receipt;
mod replay;
mod same_log;
mod sinks;
mod state;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use forebay_networked::settings::IntakeConfig;
pub use forebay_progress::{Positions, SettledTimes, Store};
use forebay_server::{RouteLimits, Service};
pub use in_flight::InFlight;
pub use measures::METRICS;
pub use program::Program;
pub use replay::Replay;
pub use sinks::SinksConfig;
pub use state::{AppState, Deps, State};

const ABOUT: &str = "The way in: rows from callers, kept durably and brought into both stores.";

/// The service over its stores.
pub fn service(deps: Deps) -> Service {
    service_of(Arc::new(State::new(deps)))
}

/// The service over a state that others in the process share: [`State::settled`] is what historical queries ask.
pub fn service_of(state: AppState) -> Service {
    let limits = RouteLimits {
        max_body_bytes: Some(state.deps.intake.max_body_bytes),
        ..RouteLimits::default()
    };
    let service =
        Service::new("ingestion", ABOUT, endpoints::routes(), state.clone()).route_limits("/v1/rows/{group}", limits);
    background::tasks(service, &state)
}

/// The service's OpenAPI document.
pub fn openapi() -> serde_json::Value {
    forebay_server::document("ingestion", ABOUT, endpoints::routes().into_openapi())
}
