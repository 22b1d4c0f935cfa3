//! `GET /v1/changes`: the log of registry revisions.

use std::sync::Arc;

use axum::extract::State;
use forebay_api::{
    apply::Change,
    changes::{ChangesPage, ChangesQuery, RegistryChange},
};
use forebay_server::{ApiResult, Json, Query, page};
use forebay_storage::{Head, Manifest};

use crate::{bundle::Places, refusal::Refusal, registry::Registry};

/// What every registry revision changed, oldest first.
#[utoipa::path(
    get, path = "/v1/changes", operation_id = "listChanges", params(ChangesQuery),
    responses((status = 200, body = ChangesPage))
)]
pub async fn changes(
    State(registry): State<Arc<Registry>>,
    Query(query): Query<ChangesQuery>,
) -> ApiResult<Json<ChangesPage>> {
    let size = page::size(query.page_size)?;
    let place: Option<u64> = page::place(query.page_token.as_deref())?;
    let after = place.or(query.after).unwrap_or_default();
    let log = registry.deps().store.log(after.saturating_sub(1), size + 2).await;
    let log = log.map_err(|error| Refusal::store(error).into_api_error(Places::Json))?;
    // The head before the first one of the page tells what that one changed; there is none before revision 1.
    let empty = Head::default();
    let start = log
        .iter()
        .position(|head| head.registry_revision > after)
        .unwrap_or(log.len());
    let mut before = start.checked_sub(1).map_or(&empty, |index| &log[index]);
    let mut items: Vec<RegistryChange> = Vec::new();
    for head in log.iter().skip(start).take(size) {
        items.push(RegistryChange {
            registry_revision: head.registry_revision,
            apply_id: head.apply_id.to_string(),
            published_at: head.published_at.to_string(),
            changes: difference(&before.manifest, &head.manifest),
        });
        before = head;
    }
    let more = log.len() > start + items.len();
    let last = items.last().map(|item| item.registry_revision).filter(|_| more);
    let token = last.map(|last| page::token(&last)).transpose()?;
    Ok(Json(ChangesPage {
        items,
        next_page_token: token,
    }))
}

fn difference(before: &Manifest, after: &Manifest) -> Vec<Change> {
    let changed = after.objects.iter().filter(|(id, entry)| {
        before.objects.get(*id).map(|old| (old.revision, old.deleted)) != Some((entry.revision, entry.deleted))
    });
    changed
        .map(|(id, entry)| {
            let existed = before.objects.get(id).is_some_and(|old| !old.deleted);
            let action = match (existed, entry.deleted) {
                (_, true) => "delete",
                (false, false) => "create",
                (true, false) => "update",
            };
            Change {
                kind: id.kind.to_string(),
                name: id.name.clone(),
                action: action.to_owned(),
                revision: entry.revision,
            }
        })
        .collect()
}
