//! `GET /v1/changes/snapshot`: the whole registry, for the services that hold a copy of it.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use forebay_api::{Code, Problem, changes::RegistrySnapshot};
use forebay_catalog::Snapshot;
use forebay_server::{ApiError, ApiResult, Json};
use xxhash_rust::xxh3::xxh3_64;

use crate::registry::Registry;

/// The whole registry as it is now: every object with its newest revision, views with all of them, and how ready the tables of groups are.
///
/// A service starts from it and follows the changes that are announced.
#[utoipa::path(
    get, path = "/v1/changes/snapshot", operation_id = "getSnapshot",
    params(("If-None-Match" = Option<String>, Header, description = "The ETag of the snapshot that the caller has")),
    responses(
        (status = 200, body = RegistrySnapshot, headers(("ETag" = String, description = "Changes with the registry revision and with the readiness of groups"))),
        (status = 304, description = "It is the one that the caller has"),
    )
)]
pub async fn snapshot(State(registry): State<Arc<Registry>>, headers: HeaderMap) -> ApiResult<Response> {
    // Whoever asks may have heard of a revision that did not arrive here yet.
    let snapshot = match registry.refresh().await {
        Ok((_, snapshot)) => snapshot,
        Err(error) if registry.is_loaded() => {
            tracing::warn!(%error, "the head cannot be read; a snapshot is given as it was heard last");
            registry.catalog().current()
        }
        Err(error) => {
            return Err(
                Problem::new(Code::NotReady, format!("the registry is not read yet: {error}"))
                    .retry_after(1)
                    .into(),
            );
        }
    };
    let etag = etag(&snapshot)?;
    let seen = headers.get(header::IF_NONE_MATCH);
    let mut response = if seen == Some(&etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(snapshot.to_wire().map_err(ApiError::internal)?).into_response()
    };
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

/// The registry revision; while groups are not ready, with what their state is.
fn etag(snapshot: &Snapshot) -> ApiResult<HeaderValue> {
    let revision = snapshot.revision();
    let waiting: Vec<_> = snapshot.readiness().into_iter().filter(|group| !group.ready).collect();
    let text = if waiting.is_empty() {
        format!("\"{revision}\"")
    } else {
        let state = serde_json::to_vec(&waiting).map_err(ApiError::internal)?;
        format!("\"{revision}-{:016x}\"", xxh3_64(&state))
    };
    HeaderValue::from_str(&text).map_err(ApiError::internal)
}
