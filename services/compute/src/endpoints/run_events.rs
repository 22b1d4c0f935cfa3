//! `GET /v1/runs/{id}/events`: a run as it changes.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use forebay_api::runs::Run;
use forebay_server::{ApiResult, Path, RequestContext};
use futures::stream;
use tokio::sync::watch;

use super::run_id;
use crate::AppState;

/// A run as it is and as it changes, as server-sent events.
///
/// Each event is called `run` and holds the whole run as JSON. The stream ends with the run's final state. Changes that follow each other quickly may come as
/// one event.
#[utoipa::path(
    get, path = "/v1/runs/{id}/events", operation_id = "followRun", tag = "compute",
    params(("id" = String, Path, description = "The run's id")),
    responses((status = 200, description = "Events called `run`", content((Run = "text/event-stream"))))
)]
pub async fn run_events(
    State(state): State<AppState>,
    context: RequestContext,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let (run, changes) = state.runner.follow(run_id(&id)?).await?;
    let following = Following {
        next: Some(run),
        changes,
        context,
    };
    let events = stream::unfold(following, |mut following| async move {
        let run = following.next().await?;
        let event = Event::default().event("run").json_data(&run).ok()?;
        Some((Ok::<_, Infallible>(event), following))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(10));
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

struct Following {
    next: Option<Run>,
    changes: Option<watch::Receiver<Run>>,
    context: RequestContext,
}

impl Following {
    async fn next(&mut self) -> Option<Run> {
        if let Some(run) = self.next.take() {
            if run.state.is_final() {
                self.changes = None;
            }
            return Some(run);
        }
        let changes = self.changes.as_mut()?;
        let run = tokio::select! {
            changed = changes.changed() => {
                changed.ok()?;
                changes.borrow_and_update().clone()
            }
            () = self.context.shutdown.draining() => return None,
        };
        if run.state.is_final() {
            self.changes = None;
        }
        Some(run)
    }
}
