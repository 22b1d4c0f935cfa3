//! `POST /v1/runs/{id}/cancel`.

use axum::extract::State;
use forebay_api::runs::Run;
use forebay_server::{ApiResult, Json, Path};

use super::run_id;
use crate::AppState;

/// Stops a run: what runs is stopped, what waits is dropped, what has succeeded stays.
#[utoipa::path(
    post, path = "/v1/runs/{id}/cancel", operation_id = "cancelRun", tag = "compute",
    params(("id" = String, Path, description = "The run's id")),
    responses(
        (status = 200, body = Run),
        (status = 409, description = "`conflict`: the run's state does not allow it"),
    )
)]
pub async fn cancel_run(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Json<Run>> {
    Ok(Json(state.runner.cancel(run_id(&id)?).await?))
}
