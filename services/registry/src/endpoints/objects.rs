//! What lists and reads of all kinds have in common.

use std::{str::FromStr, sync::Arc};

use forebay_api::{Code, Page, Problem};
use forebay_catalog::Snapshot;
use forebay_model::{
    Name,
    definitions::{Definition, Kind, ObjectId, nearest},
};
use forebay_server::{ApiError, ApiResult, IfNoneMatch, Json, WithEtag, page};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{answers, bundle::Places, loading, refusal::Refusal, registry::Registry};

/// Query parameters of a list.
#[derive(Debug, Default, Deserialize, Serialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only objects of this domain.
    pub domain: Option<String>,
    /// 1 to 1000; 100 by default.
    pub page_size: Option<u32>,
    /// The `next_page_token` of the page before.
    pub page_token: Option<String>,
}

/// Query parameters of a read.
#[derive(Debug, Default, Deserialize, Serialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RevisionQuery {
    /// An older revision; the newest without it.
    #[param(minimum = 1)]
    pub revision: Option<u64>,
}

/// A page of the objects of one kind, by name.
pub fn list(registry: &Registry, kind: Kind, query: &ListQuery) -> ApiResult<Json<Page<Value>>> {
    let snapshot = registry.catalog().current();
    let domain = domain(query.domain.as_deref())?;
    let objects = snapshot
        .entries()
        .filter(|(id, entry)| id.kind == kind && !entry.deleted && is_of(&entry.record.definition, domain.as_ref()));
    paged(
        query,
        objects,
        |(id, _)| id.name.clone(),
        |(_, entry)| answers::object(&entry.record, entry.revision, Some(&snapshot)),
    )
}

pub fn is_of(definition: &Definition, domain: Option<&Name>) -> bool {
    domain.is_none_or(|domain| definition.domain() == domain)
}

/// A page of what is sorted by a name.
pub fn paged<T>(
    query: &ListQuery,
    items: impl Iterator<Item = T>,
    name: impl Fn(&T) -> String,
    answer: impl Fn(T) -> ApiResult<Value>,
) -> ApiResult<Json<Page<Value>>> {
    let size = page::size(query.page_size)?;
    let after: Option<String> = page::place(query.page_token.as_deref())?;
    let mut left = items
        .filter(|item| after.as_ref().is_none_or(|after| name(item) > *after))
        .peekable();
    let mut page: Vec<Value> = Vec::new();
    let mut last = None;
    while page.len() < size {
        let Some(item) = left.next() else { break };
        last = Some(name(&item));
        page.push(answer(item)?);
    }
    let more = left.peek().is_some();
    let token = last.filter(|_| more).map(|last| page::token(&last)).transpose()?;
    Ok(Json(Page {
        items: page,
        next_page_token: token,
    }))
}

pub fn domain(text: Option<&str>) -> ApiResult<Option<Name>> {
    let parsed = text.map(|text| {
        Name::new(text)
            .map_err(|error| ApiError::from(Problem::parameter(Code::InvalidParameter, "domain", error.to_string())))
    });
    parsed.transpose()
}

/// An object's newest revision, or an older one.
pub async fn get(
    registry: Arc<Registry>,
    kind: Kind,
    name: &str,
    query: &RevisionQuery,
    seen: IfNoneMatch,
) -> ApiResult<WithEtag<Json<Value>>> {
    let mut snapshot = registry.catalog().current();
    let id = ObjectId::new(kind, checked(kind, name, &snapshot)?);
    let is_known = snapshot
        .entry(&id)
        .is_some_and(|entry| !entry.deleted && seen.0.is_none_or(|seen| seen <= entry.revision));
    if !is_known {
        snapshot = registry.newest().await;
    }
    let entry = snapshot.entry(&id);
    if query.revision.is_none()
        && let Some(entry) = entry.filter(|entry| !entry.deleted)
    {
        let response = Json(answers::object(&entry.record, entry.revision, Some(&snapshot))?);
        return Ok(WithEtag {
            revision: entry.revision,
            seen,
            response,
        });
    }
    let (Some(revision), Some(_)) = (query.revision, entry) else {
        return Err(unknown(kind, name, &snapshot));
    };
    let object = old_revision(&registry, &id, revision).await?;
    let response = Json(answers::object(&object.record, revision, None)?);
    Ok(WithEtag {
        revision,
        seen,
        response,
    })
}

/// A revision that may not be the newest, from the store.
pub async fn old_revision(registry: &Registry, id: &ObjectId, revision: u64) -> ApiResult<forebay_catalog::Object> {
    let refuse = |refusal: Refusal| refusal.into_api_error(Places::Json);
    let (head, _) = registry.refresh().await.map_err(refuse)?;
    let newest = head.manifest.objects.get(id).copied();
    let missing = || {
        let newest = newest.map_or(0, |entry| entry.revision);
        let detail = format!("{id} has no revision {revision}; its newest is {newest}");
        ApiError::from(Problem::parameter(Code::NotFound, "revision", detail))
    };
    let entry = newest.ok_or_else(missing)?;
    let store = &*registry.deps().store;
    let stored = loading::revision(store, id, entry, revision).await.map_err(refuse)?;
    let stored = stored.filter(|stored| !stored.entry.deleted).ok_or_else(missing)?;
    loading::object(&stored).map_err(refuse)
}

/// The name, if it can be one of this kind: otherwise nothing is called so.
fn checked(kind: Kind, name: &str, snapshot: &Snapshot) -> ApiResult<String> {
    let valid = match kind {
        Kind::FeatureGroup => forebay_model::GroupName::from_str(name).is_ok(),
        _ => Name::new(name).is_ok(),
    };
    if valid {
        Ok(name.to_owned())
    } else {
        Err(unknown(kind, name, snapshot))
    }
}

/// 404 with the nearest names.
pub fn unknown(kind: Kind, name: &str, snapshot: &Snapshot) -> ApiError {
    not_found(
        kind.as_str(),
        answers::path_of(kind),
        name,
        snapshot.definitions().names(kind),
    )
}

pub fn not_found<'a>(
    kind: &str,
    path: &str,
    name: &str,
    names: impl Iterator<Item = impl AsRef<str> + 'a>,
) -> ApiError {
    let shown: String = name.chars().take(200).collect();
    let near: Vec<_> = nearest(name, names).iter().map(|name| format!("`{name}`")).collect();
    let hint = if near.is_empty() {
        format!("; GET /v1/{path} lists all")
    } else {
        format!("; did you mean {}?", near.join(" or "))
    };
    ApiError::new(Code::NotFound, format!("no {kind} is called `{shown}`{hint}"))
}
