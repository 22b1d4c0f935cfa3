//! `GET /v1/features` and `GET /v1/features/{name}`.

use std::sync::Arc;

use axum::extract::State;
use forebay_api::{Page, definitions::Feature};
use forebay_model::{
    FeatureRef,
    definitions::{Definition, Kind, ObjectId},
};
use forebay_server::{ApiResult, IfNoneMatch, Json, Path, Query, WithEtag};
use serde_json::{Value, json};

use super::objects::{self, ListQuery, RevisionQuery, not_found};
use crate::{answers, registry::Registry};

/// All features, by full name.
#[utoipa::path(
    get, path = "/v1/features", operation_id = "listFeatures", params(ListQuery),
    responses((status = 200, body = Page<Feature>))
)]
pub async fn list_features(
    State(registry): State<Arc<Registry>>,
    Query(query): Query<ListQuery>,
) -> ApiResult<Json<Page<Value>>> {
    let snapshot = registry.catalog().current();
    let domain = objects::domain(query.domain.as_deref())?;
    let groups = snapshot
        .groups()
        .filter(|group| domain.as_ref().is_none_or(|domain| group.name.domain() == domain));
    let mut features: Vec<_> = groups
        .flat_map(|group| group.features.iter().map(move |feature| (group, &feature.definition)))
        .map(|(group, feature)| (format!("{}.{}", group.name, feature.name), group, feature))
        .collect();
    features.sort_by(|a, b| a.0.cmp(&b.0));
    objects::paged(
        &query,
        features.into_iter(),
        |(name, ..)| name.clone(),
        |(_, group, feature)| answers::feature(&snapshot, group, feature),
    )
}

/// One feature, with what it is made from and what reads it.
#[utoipa::path(
    get, path = "/v1/features/{name}", operation_id = "getFeature",
    params(("name" = String, Path, description = "Its full name, domain.group.feature"), RevisionQuery, ("If-None-Match" = Option<String>, Header, description = "The revision that the caller has: 304 if it is the newest")),
    responses(
        (status = 200, body = Feature, headers(("ETag" = String, description = "The group's revision"))),
        (status = 304, description = "The caller has this revision"),
    )
)]
pub async fn get_feature(
    State(registry): State<Arc<Registry>>,
    Path(name): Path<String>,
    Query(query): Query<RevisionQuery>,
    seen: IfNoneMatch,
) -> ApiResult<WithEtag<Json<Value>>> {
    let mut snapshot = registry.catalog().current();
    let feature: FeatureRef = name
        .parse()
        .map_err(|_| not_found("feature", "features", &name, snapshot.feature_names()))?;
    let known = snapshot.feature(&feature);
    if !known.is_ok_and(|(group, _)| seen.0.is_none_or(|seen| seen <= group.revision)) {
        snapshot = registry.newest().await;
    }
    let unknown = || not_found("feature", "features", &name, snapshot.feature_names());
    let Some(revision) = query.revision else {
        let (group, feature) = snapshot.feature(&feature).map_err(|_| unknown())?;
        let response = Json(answers::feature(&snapshot, group, &feature.definition)?);
        return Ok(WithEtag {
            revision: group.revision,
            seen,
            response,
        });
    };
    let id = ObjectId::new(Kind::FeatureGroup, feature.group().to_string());
    if snapshot.entry(&id).is_none() {
        return Err(unknown());
    }
    let object = objects::old_revision(&registry, &id, revision).await?;
    let (Definition::FeatureGroup(group), Some(state)) = (&*object.record.definition, &object.record.group) else {
        return Err(unknown());
    };
    let found = group.feature(feature.feature().as_str()).ok_or_else(unknown)?;
    let answer = answers::old_feature(&snapshot, group, found, revision, json!(state.schema.keys))?;
    Ok(WithEtag {
        revision,
        seen,
        response: Json(Value::Object(answer)),
    })
}
