//! `GET /v1/runs`: all runs.

use axum::extract::State;
use forebay_api::{Page, runs::Run};
use forebay_server::{ApiResult, Json, Query, page};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::AppState;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListRunsQuery {
    /// Runs on a page: 1 to 1000, 100 without it.
    page_size: Option<u32>,
    /// `next_page_token` of the page before.
    page_token: Option<String>,
}

/// Runs with their tasks, newest first.
#[utoipa::path(
    get, path = "/v1/runs", operation_id = "listRuns", tag = "compute", params(ListRunsQuery),
    responses((status = 200, body = Page<Run>))
)]
pub async fn list_runs(
    State(state): State<AppState>,
    Query(query): Query<ListRunsQuery>,
) -> ApiResult<Json<Page<Run>>> {
    let size = page::size(query.page_size)?;
    let before: Option<Uuid> = page::place(query.page_token.as_deref())?;
    let mut items = state.runner.list(before, size + 1).await?;
    let more = items.len() > size;
    items.truncate(size);
    let next_page_token = match items.last() {
        Some(last) if more => Some(page::token(&last.id)?),
        _ => None,
    };
    Ok(Json(Page { items, next_page_token }))
}
