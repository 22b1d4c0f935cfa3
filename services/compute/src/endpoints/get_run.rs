//! `GET /v1/runs/{id}`: one run.

use axum::extract::State;
use forebay_api::runs::Run;
use forebay_server::{ApiResult, Json, Path};

use super::run_id;
use crate::AppState;

/// A run with the state of every task.
#[utoipa::path(
    get, path = "/v1/runs/{id}", operation_id = "getRun", tag = "compute",
    params(("id" = String, Path, description = "The run's id")),
    responses((status = 200, body = Run))
)]
pub async fn get_run(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Json<Run>> {
    Ok(Json(state.runner.get(run_id(&id)?).await?))
}
