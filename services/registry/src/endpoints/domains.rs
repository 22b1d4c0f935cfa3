//! `GET /v1/domains` and `GET /v1/domains/{name}`.

use std::sync::Arc;

use axum::extract::State;
use forebay_api::{Page, definitions::Domain};
use forebay_model::definitions::Kind;
use forebay_server::{ApiResult, IfNoneMatch, Json, Path, Query, WithEtag};
use serde_json::Value;

use super::objects::{self, ListQuery, RevisionQuery};
use crate::registry::Registry;

/// All domains, by name.
#[utoipa::path(
    get, path = "/v1/domains", operation_id = "listDomains", params(ListQuery),
    responses((status = 200, body = Page<Domain>))
)]
pub async fn list_domains(
    State(registry): State<Arc<Registry>>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<Page<Value>>> {
    objects::list(&registry, Kind::Domain, &query)
}

/// One domain.
#[utoipa::path(
    get, path = "/v1/domains/{name}", operation_id = "getDomain",
    params(("name" = String, Path, description = "Its name"), RevisionQuery, ("If-None-Match" = Option<String>, Header, description = "The revision that the caller has: 304 if it is the newest")),
    responses(
        (status = 200, body = Domain, headers(("ETag" = String, description = "The object's revision"))),
        (status = 304, description = "The caller has this revision"),
    )
)]
pub async fn get_domain(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<RevisionQuery>,
    seen: IfNoneMatch,
) -> ApiResult<WithEtag<Json<Value>>> {
    objects::get(registry, Kind::Domain, &name, &query, seen).await
}
