use std::{borrow::Cow, sync::Arc, time::Instant};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use forebay_api::{
    Code, Problem, ProblemError, push_pointer,
    rows::{RowsQuery, RowsRequest, RowsResponse},
};
use forebay_catalog::Group;
use forebay_rows::Layouts;
use forebay_server::{ApiError, ApiResult, Body, IdempotencyKey, Path, Query, RequestContext};
use forebay_storage::{ClaimKey, Topic};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::group::taking_rows;
use crate::{
    Store,
    intake::{self, Accepted, Decoded, Format, IntakeOptions, Rejections, Turn},
    state::AppState,
};

/// Tells a repeated answer from a first one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Time left of a request's deadline when waiting for its rows ends, so that the answer still gets out.
const MARGIN: std::time::Duration = std::time::Duration::from_millis(250);

/// Takes in rows of a group.
///
/// As JSON (`{"rows": […]}`), NDJSON, an Arrow IPC stream or Parquet, by `Content-Type`. A row holds its keys, its `event_time` and every feature, or its keys, its
/// `event_time` and `"_deleted": true`. One bad row and none is accepted, unless `on_invalid=skip`. Accepted rows are durable in the stream; with `wait` the answer
/// comes once the stores hold them (200), or after `timeout` (202). With an `Idempotency-Key` a repetition within a day is answered as the first time and adds
/// nothing.
#[utoipa::path(
    post,
    path = "/v1/rows/{group}",
    operation_id = "ingestRows",
    tag = "ingestion",
    params(
        ("group" = String, Path, description = "The group's name", example = "visitor.profile"),
        RowsQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters"),
    ),
    request_body(
        description = "The rows",
        content(
            (RowsRequest = "application/json"),
            (String = "application/x-ndjson"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        )
    ),
    responses(
        (status = 200, description = "The stores asked for in `wait` hold the rows", body = RowsResponse),
        (status = 202, description = "The stream holds the rows; the stores will", body = RowsResponse),
        (status = 409, description = "`computed_group`: the group takes no rows from callers; `idempotency_key_in_use`: repeat it shortly"),
    )
)]
pub async fn rows(
    State(state): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<RowsQuery>,
    IdempotencyKey(key): IdempotencyKey,
    context: RequestContext,
    body: Body,
) -> ApiResult<Response> {
    let snapshot = state.deps.catalog.current();
    let group = taking_rows(&snapshot, &name)?;
    let options = IntakeOptions::new(&query, &state.deps.intake)?;
    check_stores(&group, &options.wait)?;
    let format = Format::of(body.media_type.as_deref())?;
    let decoded = Decoded::new(
        Layouts::new(group.schema.clone()),
        state.deps.intake.max_rows,
        state.budget.reserve(),
    );
    let (mut decoded, body_hash) =
        intake::decode(format, body, decoded, options.rows(), &options.fingerprint()).await?;
    intake::check(&group, &mut decoded);
    let tolerance = std::time::Duration::from_millis(state.deps.intake.tolerance_ms);
    intake::wait_for_event_times(&decoded, &*state.deps.clock, tolerance).await;
    let key = key.map(|key| ClaimKey {
        scope: format!("rows/{name}"),
        key,
    });
    // What has begun is brought to its end, also when the caller goes away.
    let taking = tokio::spawn(take_in(
        state.clone(),
        group.clone(),
        decoded,
        body_hash,
        key,
        options.skip_invalid,
    ));
    let (accepted, replayed) = taking.await.map_err(ApiError::internal)??;
    let deadline = (Instant::now() + options.timeout).min(context.deadline.into_std() - MARGIN);
    let status = match wait(&state, &accepted, &options.wait, deadline).await {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    Ok(answer(status, accepted.body, replayed))
}

async fn take_in(
    state: AppState,
    group: Arc<Group>,
    decoded: Decoded,
    body_hash: u128,
    key: Option<ClaimKey>,
    skip_invalid: bool,
) -> ApiResult<(Accepted, bool)> {
    let ingest_time = state.in_flight.begin(Topic::of(&group.schema));
    let mut rejections = intake::reject_ahead(&decoded, ingest_time.time());
    let refused = rejections.count > 0 && !skip_invalid;
    let claimed = match key {
        None if refused => return Err(rejected(&group, &rejections)),
        None => None,
        Some(key) => match intake::claim_of(&state, key, body_hash, ingest_time.time()).await? {
            // Before anything else: a repeat is answered as the first time, also where its rows would not fit any more.
            Turn::Answered(body) => return Ok((intake::replayed(body)?, true)),
            Turn::Append(claimed) if refused => {
                if claimed.claim.ingest_time == ingest_time.time() {
                    intake::give_up(claimed).await?;
                }
                return Err(rejected(&group, &rejections));
            }
            Turn::Append(claimed) => Some(claimed),
        },
    };
    if let Some(claimed) = &claimed
        && claimed.claim.ingest_time != ingest_time.time()
    {
        rejections = intake::reject_ahead(&decoded, claimed.claim.ingest_time);
    }
    let accepted = intake::append(&state, &group, decoded, rejections, ingest_time, claimed).await?;
    Ok((accepted, false))
}

/// Whether all the stores that the request waits for hold the rows before the deadline.
async fn wait(state: &AppState, accepted: &Accepted, stores: &[Store], deadline: Instant) -> bool {
    let receipt = &accepted.receipt;
    for store in stores {
        if !state
            .positions
            .wait(*store, receipt.topic, &receipt.rows, deadline)
            .await
        {
            return false;
        }
    }
    !stores.is_empty()
}

fn check_stores(group: &Group, wait: &[Store]) -> ApiResult<()> {
    let missing = wait.iter().find(|store| match store {
        Store::Online => !group.is_online(),
        Store::Offline => !group.has_history(),
    });
    match missing {
        None => Ok(()),
        Some(store) => {
            let detail = format!(
                "`{}` is not stored {}, so its rows never get there",
                group.name,
                store.as_str()
            );
            Err(Problem::parameter(Code::InvalidParameter, "wait", detail).into())
        }
    }
}

fn rejected(group: &Group, rejections: &Rejections) -> ApiError {
    metrics::counter!("forebay_rejected_rows_total", "group" => group.name.to_string()).increment(rejections.count);
    let listed = intake::listed(rejections);
    let detail = format!(
        "{} rows do not fit `{}`, so none was accepted; mend them, or accept the others with ?on_invalid=skip",
        rejections.count, group.name
    );
    let mut problem = Problem::new(Code::RejectedRows, detail)
        .with("accepted", 0.into())
        .with("rejected_count", rejections.count.into());
    for row in &listed {
        let mut pointer = format!("/rows/{}", row.index);
        if let Some(field) = &row.field {
            push_pointer(&mut pointer, field);
        }
        problem = problem.error(ProblemError {
            pointer: Some(pointer),
            parameter: None,
            code: Cow::Owned(row.code.clone()),
            detail: row.detail.clone(),
        });
    }
    match serde_json::to_value(listed) {
        Ok(listed) => problem.with("rejected", listed).into(),
        Err(error) => ApiError::internal(error),
    }
}

fn answer(status: StatusCode, body: Bytes, replayed: bool) -> Response {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let mut response = (status, json, body).into_response();
    if replayed {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
