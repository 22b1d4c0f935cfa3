//! `GET /v1/views` and `GET /v1/views/{name}`.

use std::sync::Arc;

use axum::extract::State;
use forebay_api::{Page, definitions::FeatureView};
use forebay_model::definitions::Kind;
use forebay_server::{ApiResult, IfNoneMatch, Json, Path, Query, WithEtag};
use serde_json::Value;

use super::objects::{self, ListQuery, RevisionQuery};
use crate::registry::Registry;

/// All feature views, by name.
#[utoipa::path(
    get, path = "/v1/views", operation_id = "listViews", params(ListQuery),
    responses((status = 200, body = Page<FeatureView>))
)]
pub async fn list_views(
    State(registry): State<Arc<Registry>>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<Page<Value>>> {
    objects::list(&registry, Kind::FeatureView, &query)
}

/// One feature view.
#[utoipa::path(
    get, path = "/v1/views/{name}", operation_id = "getView",
    params(("name" = String, Path, description = "Its name"), RevisionQuery, ("If-None-Match" = Option<String>, Header, description = "The revision that the caller has: 304 if it is the newest")),
    responses(
        (status = 200, body = FeatureView, headers(("ETag" = String, description = "The object's revision"))),
        (status = 304, description = "The caller has this revision"),
    )
)]
pub async fn get_view(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<RevisionQuery>,
    seen: IfNoneMatch,
) -> ApiResult<WithEtag<Json<Value>>> {
    objects::get(registry, Kind::FeatureView, &name, &query, seen).await
}
