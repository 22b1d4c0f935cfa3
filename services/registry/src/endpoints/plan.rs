//! `POST /v1/plan`: what a bundle would change.

use std::sync::Arc;

use axum::extract::State;
use forebay_api::apply::{Affect, ApplyQuery, Break, Bundle as JsonBundle, Change, Plan, Warning};
use forebay_server::{ApiError, ApiResult, Json, Query, RawBody};
use serde::Serialize;

use crate::{
    bundle::Bundle,
    proposal::{Proposal, Request},
    refusal::Refusal,
    registry::Registry,
};

/// What a bundle of definitions would change, and what that would mean. Nothing is changed.
#[utoipa::path(
    post, path = "/v1/plan", operation_id = "plan", params(ApplyQuery),
    request_body(description = "Definitions: YAML with one object per document, or JSON", content(
        (JsonBundle = "application/json"),
        (String = "application/yaml"),
    )),
    responses(
        (status = 200, body = Plan),
        (status = 409, description = "`needs_new_generation`: rows that are there cannot follow the change"),
    )
)]
pub async fn plan(
    State(registry): State<Arc<Registry>>,
    Query(query): Query<ApplyQuery>,
    body: RawBody,
) -> ApiResult<Json<Plan>> {
    let bundle = Bundle::read(&body)?;
    let places = bundle.places;
    let request = Request::Bundle {
        objects: bundle.objects,
        prune: query.prune,
    };
    let work = registry.deps().work.clone();
    let planned = work.spawn(async move { registry.plan(&request).await });
    let proposal = planned
        .await
        .map_err(ApiError::internal)?
        .map_err(|refusal: Refusal| refusal.into_api_error(places))?;
    let base = proposal.base;
    Ok(Json(answer(proposal, base)))
}

/// A proposal in the contract's words.
pub fn answer(proposal: Proposal, registry_revision: u64) -> Plan {
    let changes = proposal.changes.into_iter().map(|(change, revision)| Change {
        kind: change.id.kind.to_string(),
        name: change.id.name,
        action: word(&change.action),
        revision,
    });
    let breaks = proposal.breaks.into_iter().map(|found| Break {
        object: found.object,
        reader: found.reader,
        why: word(&found.why),
    });
    let affects = proposal.affects.into_iter().map(|found| Affect {
        reader: found.reader,
        why: word(&found.why),
    });
    let warnings = proposal.not_computed.into_iter().map(|group| Warning {
        object: group.to_string(),
        code: "not_computed_yet".to_owned(),
        detail: "streaming groups are registered and have tables, but this version does not compute them".to_owned(),
    });
    Plan {
        registry_revision,
        changes: changes.collect(),
        recompute: proposal.recompute.iter().map(ToString::to_string).collect(),
        breaks: breaks.collect(),
        affects: affects.collect(),
        warnings: warnings.collect(),
        pending: Vec::new(),
    }
}

/// The word that serde writes for a unit variant.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
