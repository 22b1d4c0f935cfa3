//! What every Forebay service stands on: the accept loop, the layer around all routes, extractors, errors, OpenAPI.
//!
//! # A service
//!
//! ```ignore
//! // services/registry/src/lib.rs
//! pub fn service(deps: Deps) -> Service {
//!     Service::new("registry", ABOUT, routes(), AppState::from(deps))
//!         .route_limits("/v1/apply", RouteLimits { max_body_bytes: Some(16 << 20), ..RouteLimits::default() })
//!         .task("reconciler", |stop| reconcile(stop))
//!         .ready_when("store", || Ok(()))
//! }
//!
//! pub fn routes() -> OpenApiRouter<AppState> {          // needs no state,
//!     OpenApiRouter::new().routes(routes!(get_group::get_group))
//! }
//!
//! pub fn openapi() -> serde_json::Value {               // so that the document needs no backends
//!     forebay_server::document("registry", ABOUT, routes().into_openapi())
//! }
//!
//! #[test]
//! fn the_document_is_up_to_date() {
//!     forebay_server::assert_checked_in("registry", &openapi());
//! }
//! ```
//!
//! # An endpoint
//!
//! ```ignore
//! // services/registry/src/endpoints/get_group.rs; request and response are in shared/api/src/groups.rs
//! #[derive(Debug, thiserror::Error)]
//! pub enum GetGroupError {
//!     #[error("no group is named {0}; GET /v1/groups lists all")]
//!     NotFound(String),
//!     #[error("the registry store does not answer")]
//!     Store(#[from] StoreError),
//! }
//!
//! impl From<GetGroupError> for ApiError {               // the code picks the HTTP status
//!     fn from(error: GetGroupError) -> Self {
//!         match error {
//!             GetGroupError::NotFound(_) => ApiError::new(Code::NotFound, error.to_string()),
//!             GetGroupError::Store(source) => ApiError::unavailable("the registry store does not answer", source),
//!         }
//!     }
//! }
//!
//! /// One feature group.
//! #[utoipa::path(get, path = "/v1/groups/{name}", operation_id = "getGroup", params(("name" = String, Path), RevisionQuery),
//!     responses((status = 200, body = Group)))]
//! pub async fn get_group(State(state): State<AppState>, Path(name): Path<String>, Query(query): Query<RevisionQuery>,
//!     seen: IfNoneMatch) -> Result<WithEtag<Json<Group>>, GetGroupError> { … }
//! ```
//!
//! A handler returns `ApiResult<_>` ([`ApiError`] is the only `IntoResponse` for errors) or uses `?` on its own enum.
//! The document gets 400, 404, 413, 415, 422, 429, 500, 503, 504 by itself; an endpoint declares its other errors as
//! `(status = 409, description = "`breaking_change`: a reader would break")`, without a body. An operation without
//! declared query parameters refuses any (422 `unknown_parameter`), and [`Query`] refuses those its struct does not have.
//!
//! Tests over a socket: [`TestServer`] with the feature `testing`.

mod accept_loop;
mod config;
mod connection;
mod duration_text;
mod edge;
mod error;
mod extract;
mod health;
mod openapi;
pub mod page;
mod pieces;
mod roof;
mod runtimes;
mod server;
mod service;
mod shutdown;
mod starting;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
mod testing;
#[cfg(test)]
mod tests;

pub use config::{RouteLimits, ServerConfig};
pub use edge::RequestContext;
pub use error::{ApiError, ApiResult};
pub use extract::{
    Body, IdempotencyKey, IfMatch, IfNoneMatch, Json, Path, Query, RawBody, WithEtag, accept, etag, json,
};
pub use forebay_api::{Code, Problem, ProblemError};
pub use openapi::{assert_checked_in, document};
pub use pieces::Pieces;
pub use runtimes::{Runtimes, RuntimesConfig};
pub use server::{BindError, Bound, Server};
pub use service::Service;
pub use shutdown::Shutdown;
pub use starting::Starting;
pub use telemetry::{
    Identity, LogFormat, LogsConfig, LogsError, METRICS, Measure, Telemetry, TelemetryConfig, TelemetryError,
    start_logs, start_metrics, start_telemetry,
};
#[cfg(any(test, feature = "testing"))]
pub use testing::TestServer;
