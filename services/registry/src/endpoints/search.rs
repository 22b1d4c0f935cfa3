//! `GET /v1/search`: objects and features by words, kind, domain, owner and tag.

use std::sync::Arc;

use axum::extract::State;
use forebay_api::{
    Code, Problem,
    search::{Found, SearchPage, SearchQuery},
};
use forebay_catalog::Snapshot;
use forebay_model::definitions::{Definition, Kind};
use forebay_server::{ApiResult, Json, Query, page};

use crate::{answers, registry::Registry};

/// The kind of a result that is no object of its own.
const FEATURE: &str = "Feature";

/// Objects and features that match everything that is asked: best matches first, then by name.
#[utoipa::path(
    get, path = "/v1/search", operation_id = "search", params(SearchQuery),
    responses((status = 200, body = SearchPage))
)]
pub async fn search(
    State(registry): State<Arc<Registry>>,
    Query(query): Query<SearchQuery>,
) -> ApiResult<Json<SearchPage>> {
    let asked = Asked::of(&query)?;
    let size = page::size(query.page_size)?;
    let after: Option<(Rank, String, String)> = page::place(query.page_token.as_deref())?;
    let snapshot = registry.catalog().current();
    let mut found: Vec<((Rank, String, String), Found)> = candidates(&snapshot)
        .filter_map(|found| Some(((asked.rank(&found)?, found.name.clone(), found.kind.clone()), found)))
        .filter(|(place, _)| after.as_ref().is_none_or(|after| place > after))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let more = found.len() > size;
    found.truncate(size);
    let token = found
        .last()
        .filter(|_| more)
        .map(|(place, _)| page::token(place))
        .transpose()?;
    Ok(Json(SearchPage {
        items: found.into_iter().map(|(_, found)| found).collect(),
        next_page_token: token,
    }))
}

/// How well a result matches: the lower, the better.
type Rank = u8;

struct Asked {
    words: Vec<String>,
    kind: Option<String>,
    domain: Option<String>,
    owner: Option<String>,
    tag: Option<(String, String)>,
}

impl Asked {
    fn of(query: &SearchQuery) -> ApiResult<Self> {
        if let Some(kind) = &query.kind
            && kind != FEATURE
            && kind.parse::<Kind>().is_err()
        {
            let detail = "expected one of Domain, Entity, Source, FeatureGroup, Feature, FeatureView";
            return Err(Problem::parameter(Code::InvalidParameter, "kind", detail).into());
        }
        let tag = match query.tag.as_deref().map(|tag| tag.split_once(':')) {
            Some(None) => {
                let detail = "expected `name:value`, such as `pii:yes`";
                return Err(Problem::parameter(Code::InvalidParameter, "tag", detail).into());
            }
            Some(Some((name, value))) => Some((name.to_owned(), value.to_owned())),
            None => None,
        };
        let text = query.q.as_deref().unwrap_or_default();
        Ok(Self {
            words: text.split_whitespace().map(str::to_lowercase).collect(),
            kind: query.kind.clone(),
            domain: query.domain.clone(),
            owner: query.owner.clone(),
            tag,
        })
    }

    /// None when it does not match.
    fn rank(&self, found: &Found) -> Option<Rank> {
        let fits = self.kind.as_ref().is_none_or(|kind| *kind == found.kind)
            && self.domain.as_ref().is_none_or(|domain| *domain == found.domain)
            && self.owner.as_ref().is_none_or(|owner| found.owners.contains(owner))
            && self
                .tag
                .as_ref()
                .is_none_or(|(name, value)| found.tags.get(name) == Some(value));
        if !fits {
            return None;
        }
        let last = found.name.rsplit('.').next().unwrap_or_default();
        let description = found.description.as_deref().unwrap_or_default().to_lowercase();
        let mut worst = 0;
        for word in &self.words {
            let rank = if *word == found.name || word == last {
                0
            } else if last.starts_with(word.as_str()) {
                1
            } else if found.name.contains(word.as_str()) {
                2
            } else if description.contains(word.as_str()) {
                3
            } else {
                return None;
            };
            worst = worst.max(rank);
        }
        Some(worst)
    }
}

/// Every object and every feature.
fn candidates(snapshot: &Snapshot) -> impl Iterator<Item = Found> + '_ {
    let objects = snapshot.entries().filter(|(_, entry)| !entry.deleted);
    objects.flat_map(|(id, entry)| {
        let definition = &entry.record.definition;
        let object = Found {
            kind: id.kind.to_string(),
            name: id.name.clone(),
            domain: definition.domain().to_string(),
            revision: entry.revision,
            r#type: None,
            description: definition.metadata().description.clone(),
            owners: answers::owners(snapshot, definition),
            tags: definition.metadata().tags.clone(),
        };
        let mut all = vec![object];
        if let Definition::FeatureGroup(group) = &**definition {
            all.extend(group.features.iter().map(|feature| Found {
                kind: FEATURE.to_owned(),
                name: format!("{}.{}", group.name, feature.name),
                domain: group.name.domain().to_string(),
                revision: entry.revision,
                r#type: Some(feature.data_type.to_string()),
                description: feature.metadata.description.clone(),
                owners: answers::feature_owners(snapshot, group, feature),
                tags: answers::feature_tags(group, feature),
            }));
        }
        all
    })
}
