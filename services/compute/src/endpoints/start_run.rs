//! `POST /v1/runs`: computes groups.

use std::collections::BTreeSet;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use forebay_api::{
    Code, Problem, ProblemError,
    runs::{Run, RunRequest},
};
use forebay_catalog::{LookupError, Snapshot};
use forebay_model::{Duration, GroupName, Timestamp};
use forebay_server::{ApiError, ApiResult, IdempotencyKey, Json};
use forebay_storage::{BatchId, Claim, ClaimKey, ClaimOutcome};
use http::{StatusCode, header};
use uuid::Uuid;

use crate::{
    AppState, State as Shared,
    planning::{self, batch_group},
    record::{Cause, RunRecord, Span},
    runner::RunnerError,
    scheduler::run_id,
};

/// How long an `Idempotency-Key` is remembered.
const DAY: Duration = Duration::from_micros(86_400_000_000);

/// Computes groups over an interval, or everything that is due.
///
/// The groups are computed level by level, those of a level in parallel. A query that does not read `{{ start }}` and `{{ end }}` gives the same for every
/// interval. Rows that equal the winning ones are not written again. With an `Idempotency-Key`, a repeat within a day answers as the first time.
#[utoipa::path(
    post, path = "/v1/runs", operation_id = "startRun", tag = "compute",
    params(("Idempotency-Key" = Option<String>, Header, description = "A repeat within a day starts nothing again")),
    request_body = RunRequest,
    responses(
        (status = 202, description = "It is recorded and waits for its turn", body = Run),
        (status = 409, description = "`conflict`: the run was changed at the same time"),
    )
)]
pub async fn start_run(
    State(state): State<AppState>,
    IdempotencyKey(key): IdempotencyKey,
    Json(request): Json<RunRequest>,
) -> ApiResult<Response> {
    let now = state.clock.now();
    let Some(key) = key else {
        let record = record(&state, &request, run_id(now), now).await?;
        return Ok(accepted(state.runner.start(record).await?));
    };
    let body = serde_json::to_vec(&request).map_err(ApiError::internal)?;
    let claim = Claim {
        body_hash: xxhash_rust::xxh3::xxh3_128(&body),
        batch: BatchId(run_id(now)),
        ingest_time: now,
    };
    let key = ClaimKey {
        scope: "runs".to_owned(),
        key,
    };
    let outcome = state.claims.claim(&key, &claim, now.saturating_sub(DAY)).await;
    match outcome.map_err(store_error)? {
        ClaimOutcome::Claimed => start(&state, &key, &request, &claim).await,
        ClaimOutcome::Pending(first) => {
            same_request(&first, &claim)?;
            match state.runner.get(first.batch.0).await {
                Ok(run) => answer(&state, &key, run).await,
                Err(RunnerError::NotFound(_)) => start(&state, &key, &request, &first).await,
                Err(error) => Err(error.into()),
            }
        }
        ClaimOutcome::Answered(first, answer) => {
            same_request(&first, &claim)?;
            let headers = [(header::CONTENT_TYPE, "application/json")];
            Ok((StatusCode::ACCEPTED, headers, answer).into_response())
        }
    }
}

async fn start(state: &Shared, key: &ClaimKey, request: &RunRequest, claim: &Claim) -> ApiResult<Response> {
    let started = match record(state, request, claim.batch.0, claim.ingest_time).await {
        Ok(record) => state.runner.start(record).await.map_err(ApiError::from),
        Err(error) => Err(error),
    };
    match started {
        Ok(run) => answer(state, key, run).await,
        Err(error) => {
            // Whether a run is recorded after an error of the store is unknown; the key stays with its id then.
            if error.problem().status < 500 {
                state.claims.abandon(key, claim).await.map_err(store_error)?;
            }
            Err(error)
        }
    }
}

async fn answer(state: &Shared, key: &ClaimKey, run: Run) -> ApiResult<Response> {
    let body = serde_json::to_vec(&run).map_err(ApiError::internal)?;
    let first = state.claims.answer(key, body.into()).await.map_err(store_error)?;
    Ok(accepted(serde_json::from_slice(&first).map_err(ApiError::internal)?))
}

fn accepted(run: Run) -> Response {
    (StatusCode::ACCEPTED, Json(run)).into_response()
}

fn same_request(first: &Claim, this: &Claim) -> ApiResult<()> {
    if first.body_hash == this.body_hash {
        return Ok(());
    }
    Err(ApiError::new(
        Code::IdempotencyKeyReused,
        "this Idempotency-Key came with another request before; use a key of its own for each request",
    ))
}

fn store_error(error: forebay_storage::StorageError) -> ApiError {
    ApiError::unavailable("the store of idempotency keys does not answer", error)
}

async fn record(state: &Shared, request: &RunRequest, id: Uuid, now: Timestamp) -> ApiResult<RunRecord> {
    let Some(names) = &request.groups else {
        if request.start.is_some() || request.end.is_some() || request.downstream {
            let detail = "without `groups` everything runs that is due, each group over its own interval";
            return Err(Problem::at(Code::InvalidCombination, "/groups", detail).into());
        }
        return Ok(state.scheduler.due_run(id, now).await);
    };
    let snapshot = state.catalog.current();
    let mut groups = groups(&snapshot, names)?;
    let end = request.end.unwrap_or(now);
    if end > now {
        let detail = "the interval ends in the future; rows from there would hide newer ones";
        return Err(Problem::at(Code::InvalidValue, "/end", detail).into());
    }
    if request.start.is_some_and(|start| start >= end) {
        return Err(Problem::at(
            Code::InvalidCombination,
            "/start",
            "the interval is empty: `start` must lie before `end`",
        )
        .into());
    }
    if request.downstream {
        groups.extend(planning::downstream(&snapshot, &groups));
    }
    let span = Span::Fixed {
        start: request.start,
        end,
    };
    Ok(planning::plan(id, Cause::Request, now, &snapshot, &groups, |_| span))
}

fn groups(snapshot: &Snapshot, names: &[String]) -> ApiResult<BTreeSet<GroupName>> {
    if names.is_empty() {
        return Err(Problem::at(
            Code::InvalidValue,
            "/groups",
            "the list is empty; leave it out to run everything that is due",
        )
        .into());
    }
    let mut groups = BTreeSet::new();
    let mut errors = Vec::new();
    for (index, text) in names.iter().enumerate() {
        let pointer = format!("/groups/{index}");
        let name: GroupName = match text.parse() {
            Ok(name) => name,
            Err(error) => {
                errors.push(ProblemError::at(
                    pointer,
                    Code::InvalidName,
                    forebay_model::NameError::to_string(&error),
                ));
                continue;
            }
        };
        match snapshot.ready_group(&name) {
            Ok(_) if batch_group(snapshot, &name).is_none() => {
                let detail = format!("`{name}` is not computed by a query, so it cannot be run");
                errors.push(ProblemError::at(pointer, Code::InvalidValue, detail));
            }
            Ok(_) => {
                groups.insert(name);
            }
            Err(error @ LookupError::NotReady { .. }) => {
                return Err(Problem::new(Code::NotReady, error.to_string()).retry_after(1).into());
            }
            Err(error) => errors.push(ProblemError::at(pointer, Code::UnknownGroup, error.to_string())),
        }
    }
    match errors.is_empty() {
        true => Ok(groups),
        false => Err(Problem::of(errors).into()),
    }
}
