//! `GET /v1/schedule`: what will run, in which order, and when.

use axum::extract::State;
use forebay_api::schedule::Schedule;
use forebay_server::{ApiError, ApiResult, Json};

use crate::AppState;

/// The batch groups in the order of work, with what starts them and when they are next.
#[utoipa::path(
    get, path = "/v1/schedule", operation_id = "getSchedule", tag = "compute",
    responses((status = 200, body = Schedule))
)]
pub async fn get_schedule(State(state): State<AppState>) -> ApiResult<Json<Schedule>> {
    let schedule = state.scheduler.schedule().await;
    schedule
        .map(Json)
        .map_err(|error| ApiError::unavailable("the stores that tell what is due do not answer", error))
}
