//! `GET /v1/entities` and `GET /v1/entities/{name}`.

use std::sync::Arc;

use axum::extract::State;
use forebay_api::{Page, definitions::Entity};
use forebay_model::definitions::Kind;
use forebay_server::{ApiResult, IfNoneMatch, Json, Path, Query, WithEtag};
use serde_json::Value;

use super::objects::{self, ListQuery, RevisionQuery};
use crate::registry::Registry;

/// All entities, by name.
#[utoipa::path(
    get, path = "/v1/entities", operation_id = "listEntities", params(ListQuery),
    responses((status = 200, body = Page<Entity>))
)]
pub async fn list_entities(
    State(registry): State<Arc<Registry>>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<Page<Value>>> {
    objects::list(&registry, Kind::Entity, &query)
}

/// One entity.
#[utoipa::path(
    get, path = "/v1/entities/{name}", operation_id = "getEntity",
    params(("name" = String, Path, description = "Its name"), RevisionQuery, ("If-None-Match" = Option<String>, Header, description = "The revision that the caller has: 304 if it is the newest")),
    responses(
        (status = 200, body = Entity, headers(("ETag" = String, description = "The object's revision"))),
        (status = 304, description = "The caller has this revision"),
    )
)]
pub async fn get_entity(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<RevisionQuery>,
    seen: IfNoneMatch,
) -> ApiResult<WithEtag<Json<Value>>> {
    objects::get(registry, Kind::Entity, &name, &query, seen).await
}
