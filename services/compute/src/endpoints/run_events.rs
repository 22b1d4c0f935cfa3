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
    let mut following = state.runner.follow(run_id(&id)?);
    let first = following.next().await?;
    let events = stream::unfold(
        (first, following, context),
        |(next, mut following, context)| async move {
            let run = match next {
                Some(run) => run,
                None => tokio::select! {
                    next = following.next() => next.ok().flatten()?,
                    () = context.shutdown.draining() => return None,
                },
            };
            let event = Event::default().event("run").json_data(&run).ok()?;
            Some((Ok::<_, Infallible>(event), (None, following, context)))
        },
    );
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(10));
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}
