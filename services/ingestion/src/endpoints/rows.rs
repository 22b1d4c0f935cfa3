use axum::{extract::State, response::Response};
use forebay_api::rows::{RowsQuery, RowsRequest, RowsResponse};
use forebay_rows::Layouts;
use forebay_server::{ApiResult, Body, IdempotencyKey, Path, Query, RequestContext};
use forebay_storage::ClaimKey;

use super::{
    accepting::{check_stores, take_and_answer},
    group::taking_rows,
};
use crate::{
    intake::{self, Decoded, Format, IntakeOptions},
    state::AppState,
};

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
    take_and_answer(
        &state,
        &group,
        decoded,
        body_hash,
        key,
        &options,
        context.deadline.into_std(),
    )
    .await
}
