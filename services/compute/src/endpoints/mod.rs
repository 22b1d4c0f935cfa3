//! One file per endpoint.

mod cancel_run;
mod get_run;
mod get_schedule;
mod list_runs;
mod resume_run;
mod run_events;
mod start_run;

use forebay_api::Code;
use forebay_server::ApiError;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{AppState, runner::RunnerError};

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(start_run::start_run, list_runs::list_runs))
        .routes(routes!(get_run::get_run))
        .routes(routes!(run_events::run_events))
        .routes(routes!(cancel_run::cancel_run))
        .routes(routes!(resume_run::resume_run))
        .routes(routes!(get_schedule::get_schedule))
}

impl From<RunnerError> for ApiError {
    fn from(error: RunnerError) -> Self {
        let detail = error.to_string();
        match error {
            RunnerError::NotFound(_) => Self::new(Code::NotFound, detail),
            RunnerError::WrongState { .. } | RunnerError::Conflict | RunnerError::Lost => {
                Self::new(Code::Conflict, detail)
            }
            RunnerError::Full => forebay_api::Problem::new(Code::Full, detail).retry_after(5).into(),
            RunnerError::Unreadable(_) => Self::internal(error),
            RunnerError::Store(source) => Self::unavailable("the run store does not answer", source),
        }
    }
}

/// The id in a path.
fn run_id(text: &str) -> Result<Uuid, ApiError> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(64).collect();
        ApiError::new(
            Code::NotFound,
            format!("no run has the id {shown:?}; GET /v1/runs lists them"),
        )
    })
}
