//! `DELETE /v1/{kind}/{name}`: the object goes, its data stays unless it is purged.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use forebay_api::{
    Code, Problem,
    apply::{DeleteQuery, Plan},
};
use forebay_model::definitions::{Kind, ObjectId};
use forebay_server::{ApiResult, IfMatch, Json, Path, Query};

use super::{apply::change, objects::unknown};
use crate::{bundle::Places, proposal::Request, refusal::Refusal, registry::Registry};

/// Deletes a domain that nothing reads or names.
#[utoipa::path(
    delete, path = "/v1/domains/{name}", operation_id = "deleteDomain",
    params(("name" = String, Path, description = "Its name"), DeleteQuery, ("If-Match" = Option<String>, Header, description = "The object's revision that the caller saw: refused if it changed since")),
    responses(
        (status = 200, body = Plan, headers(("ETag" = String, description = "The registry revision"))),
        (status = 409, description = "`breaking_change`: something reads it, `breaks` lists what"),
    )
)]
pub async fn delete_domain(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<DeleteQuery>,
    seen: IfMatch,
) -> ApiResult<(HeaderMap, Json<Plan>)> {
    delete(registry, Kind::Domain, &name, &query, seen).await
}

/// Deletes an entity that nothing reads or names.
#[utoipa::path(
    delete, path = "/v1/entities/{name}", operation_id = "deleteEntity",
    params(("name" = String, Path, description = "Its name"), DeleteQuery, ("If-Match" = Option<String>, Header, description = "The object's revision that the caller saw: refused if it changed since")),
    responses(
        (status = 200, body = Plan, headers(("ETag" = String, description = "The registry revision"))),
        (status = 409, description = "`breaking_change`: something reads it, `breaks` lists what"),
    )
)]
pub async fn delete_entity(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<DeleteQuery>,
    seen: IfMatch,
) -> ApiResult<(HeaderMap, Json<Plan>)> {
    delete(registry, Kind::Entity, &name, &query, seen).await
}

/// Deletes a source that nothing reads or names.
#[utoipa::path(
    delete, path = "/v1/sources/{name}", operation_id = "deleteSource",
    params(("name" = String, Path, description = "Its name"), DeleteQuery, ("If-Match" = Option<String>, Header, description = "The object's revision that the caller saw: refused if it changed since")),
    responses(
        (status = 200, body = Plan, headers(("ETag" = String, description = "The registry revision"))),
        (status = 409, description = "`breaking_change`: something reads it, `breaks` lists what"),
    )
)]
pub async fn delete_source(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<DeleteQuery>,
    seen: IfMatch,
) -> ApiResult<(HeaderMap, Json<Plan>)> {
    delete(registry, Kind::Source, &name, &query, seen).await
}

/// Deletes a group that nothing reads or names. Its rows stay, and are there again when a group of this name and shape is registered, unless `purge` removes them.
#[utoipa::path(
    delete, path = "/v1/groups/{name}", operation_id = "deleteGroup",
    params(("name" = String, Path, description = "Its name"), DeleteQuery, ("If-Match" = Option<String>, Header, description = "The object's revision that the caller saw: refused if it changed since")),
    responses(
        (status = 200, body = Plan, headers(("ETag" = String, description = "The registry revision"))),
        (status = 409, description = "`breaking_change`: something reads it, `breaks` lists what"),
    )
)]
pub async fn delete_group(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<DeleteQuery>,
    seen: IfMatch,
) -> ApiResult<(HeaderMap, Json<Plan>)> {
    delete(registry, Kind::FeatureGroup, &name, &query, seen).await
}

/// Deletes a view that nothing reads or names.
#[utoipa::path(
    delete, path = "/v1/views/{name}", operation_id = "deleteView",
    params(("name" = String, Path, description = "Its name"), DeleteQuery, ("If-Match" = Option<String>, Header, description = "The object's revision that the caller saw: refused if it changed since")),
    responses(
        (status = 200, body = Plan, headers(("ETag" = String, description = "The registry revision"))),
        (status = 409, description = "`breaking_change`: something reads it, `breaks` lists what"),
    )
)]
pub async fn delete_view(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<DeleteQuery>,
    seen: IfMatch,
) -> ApiResult<(HeaderMap, Json<Plan>)> {
    delete(registry, Kind::FeatureView, &name, &query, seen).await
}

async fn delete(
    registry: Arc<Registry>,
    kind: Kind,
    name: &str,
    query: &DeleteQuery,
    seen: IfMatch,
) -> ApiResult<(HeaderMap, Json<Plan>)> {
    if query.purge && kind != Kind::FeatureGroup {
        let detail = "only feature groups hold data; leave `purge` out";
        return Err(Problem::parameter(Code::InvalidCombination, "purge", detail).into());
    }
    let refuse = |refusal: Refusal| refusal.into_api_error(Places::Json);
    let (head, snapshot) = registry.refresh().await.map_err(refuse)?;
    let id = ObjectId::new(kind, name);
    let entry = snapshot.entry(&id).filter(|entry| !entry.deleted);
    let entry = entry.ok_or_else(|| unknown(kind, name, &snapshot))?;
    seen.check(entry.revision)?;
    let request = Request::Delete { id, purge: query.purge };
    // The revision that was checked must still be the one that goes.
    let base = seen.0.map(|_| head.registry_revision);
    change(registry, request, base, Places::Json).await
}
