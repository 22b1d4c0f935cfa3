//! `POST /v1/runs/{id}/resume`.

use axum::extract::State;
use forebay_api::runs::Run;
use forebay_server::{ApiResult, Json, Path};

use super::run_id;
use crate::AppState;

/// Goes on with a run that failed or was cancelled: every task that has not succeeded is tried again.
#[utoipa::path(
    post, path = "/v1/runs/{id}/resume", operation_id = "resumeRun", tag = "compute",
    params(("id" = String, Path, description = "The run's id")),
    responses(
        (status = 200, body = Run),
        (status = 409, description = "`conflict`: the run's state does not allow it"),
    )
)]
pub async fn resume_run(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Json<Run>> {
    Ok(Json(state.runner.resume(run_id(&id)?).await?))
}
