//! `GET /v1/groups` and `GET /v1/groups/{name}`.

use std::sync::Arc;

use axum::extract::State;
use forebay_api::{Page, definitions::FeatureGroup};
use forebay_model::definitions::Kind;
use forebay_server::{ApiResult, IfNoneMatch, Json, Path, Query, WithEtag};
use serde_json::Value;

use super::objects::{self, ListQuery, RevisionQuery};
use crate::registry::Registry;

/// All feature groups, by name.
#[utoipa::path(
    get, path = "/v1/groups", operation_id = "listGroups", params(ListQuery),
    responses((status = 200, body = Page<FeatureGroup>))
)]
pub async fn list_groups(
    State(registry): State<Arc<Registry>>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<Page<Value>>> {
    objects::list(&registry, Kind::FeatureGroup, &query)
}

/// One feature group.
#[utoipa::path(
    get, path = "/v1/groups/{name}", operation_id = "getGroup",
    params(("name" = String, Path, description = "Its name"), RevisionQuery, ("If-None-Match" = Option<String>, Header, description = "The revision that the caller has: 304 if it is the newest")),
    responses(
        (status = 200, body = FeatureGroup, headers(("ETag" = String, description = "The object's revision"))),
        (status = 304, description = "The caller has this revision"),
    )
)]
pub async fn get_group(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<RevisionQuery>,
    seen: IfNoneMatch,
) -> ApiResult<WithEtag<Json<Value>>> {
    objects::get(registry, Kind::FeatureGroup, &name, &query, seen).await
}
