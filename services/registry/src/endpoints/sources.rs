//! `GET /v1/sources` and `GET /v1/sources/{name}`.

use std::sync::Arc;

use axum::extract::State;
use forebay_api::{Page, definitions::Source};
use forebay_model::definitions::Kind;
use forebay_server::{ApiResult, IfNoneMatch, Json, Path, Query, WithEtag};
use serde_json::Value;

use super::objects::{self, ListQuery, RevisionQuery};
use crate::registry::Registry;

/// All sources, by name.
#[utoipa::path(
    get, path = "/v1/sources", operation_id = "listSources", params(ListQuery),
    responses((status = 200, body = Page<Source>))
)]
pub async fn list_sources(
    State(registry): State<Arc<Registry>>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<Page<Value>>> {
    objects::list(&registry, Kind::Source, &query)
}

/// One source.
#[utoipa::path(
    get, path = "/v1/sources/{name}", operation_id = "getSource",
    params(("name" = String, Path, description = "Its name"), RevisionQuery, ("If-None-Match" = Option<String>, Header, description = "The revision that the caller has: 304 if it is the newest")),
    responses(
        (status = 200, body = Source, headers(("ETag" = String, description = "The object's revision"))),
        (status = 304, description = "The caller has this revision"),
    )
)]
pub async fn get_source(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<RevisionQuery>,
    seen: IfNoneMatch,
) -> ApiResult<WithEtag<Json<Value>>> {
    objects::get(registry, Kind::Source, &name, &query, seen).await
}
