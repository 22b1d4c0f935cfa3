//! `POST /v1/apply`: registers a bundle, all of it or nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use forebay_api::apply::{ApplyQuery, Bundle as JsonBundle, Plan};
use forebay_server::{ApiError, ApiResult, IfMatch, Json, Query, RawBody, etag};

use super::plan::answer;
use crate::{
    bundle::{Bundle, Places},
    proposal::Request,
    registry::Registry,
};

/// Registers a bundle of definitions, all of it or nothing. Tables and topics follow; a group whose tables are still being made is
/// listed under `pending` and answers 503 until they are there.
#[utoipa::path(
    post, path = "/v1/apply", operation_id = "apply",
    params(ApplyQuery, ("If-Match" = Option<String>, Header, description = "The registry revision of the plan: refused if anything changed since")),
    request_body(description = "Definitions: YAML with one object per document, or JSON", content(
        (JsonBundle = "application/json"),
        (String = "application/yaml"),
    )),
    responses(
        (status = 200, body = Plan, headers(("ETag" = String, description = "The registry revision"))),
        (status = 409, description = "`breaking_change`: readers would lose what they read, `breaks` lists them; `needs_new_generation`: rows that are there cannot follow the change"),
    )
)]
pub async fn apply(
    State(registry): State<Arc<Registry>>,
    Query(query): Query<ApplyQuery>,
    seen: IfMatch,
    body: RawBody,
) -> ApiResult<(HeaderMap, Json<Plan>)> {
    let bundle = Bundle::read(&body)?;
    let places = bundle.places;
    let request = Request::Bundle {
        objects: bundle.objects,
        prune: query.prune,
    };
    change(registry, request, seen.0, places).await
}

/// Makes a change in a task of its own, so that a caller who goes away does not stop it halfway.
pub(super) async fn change(
    registry: Arc<Registry>,
    request: Request,
    seen: Option<u64>,
    places: Places,
) -> ApiResult<(HeaderMap, Json<Plan>)> {
    let work = registry.deps().work.clone();
    let applied = work.spawn(async move { registry.apply(&request, seen).await });
    let applied = applied
        .await
        .map_err(ApiError::internal)?
        .map_err(|refusal| refusal.into_api_error(places))?;
    let plan = Plan {
        pending: applied.pending,
        ..answer(applied.proposal, applied.registry_revision)
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, etag(applied.registry_revision));
    Ok((headers, Json(plan)))
}
