use axum::{extract::State, response::Response};
use forebay_api::{
    Code, Problem,
    rows::{RowsQuery, RowsRequest, RowsResponse},
};
use forebay_rows::Layouts;
use forebay_server::{ApiResult, Path, Query, RawBody, RequestContext};
use forebay_storage::ClaimKey;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    accepting::{check_stores, take_and_answer},
    group::taking_rows,
    rejected::{find, shown},
};
use crate::{
    intake::{self, Decoded, IntakeOptions},
    state::AppState,
};

/// Takes a rejected record in after all.
///
/// Without a body the record is read again as it is, which helps once the group's schema was mended. With a body, as of `POST /v1/rows/{group}` with one row, that
/// row is taken in its stead. Within a day a record is taken in once, however often it is replayed. The record stays in the list.
#[utoipa::path(
    post,
    path = "/v1/rejected/{id}/replay",
    operation_id = "replayRejected",
    tag = "ingestion",
    params(("id" = String, Path, description = "The id of the list", example = "0-17"), RowsQuery),
    request_body = Option<RowsRequest>,
    responses(
        (status = 200, description = "The stores asked for in `wait` hold the row", body = RowsResponse),
        (status = 202, description = "The stream holds the row; the stores will", body = RowsResponse),
        (status = 422, description = "`rejected_rows`: it still does not fit; `idempotency_key_reused`: it was taken in with another body"),
    )
)]
pub async fn replay(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(query): Query<RowsQuery>,
    context: RequestContext,
    body: RawBody,
) -> ApiResult<Response> {
    let (id, rejected) = find(&state, &id).await?;
    let snapshot = state.deps.catalog.current();
    let group = taking_rows(&snapshot, &rejected.group.to_string())?;
    let options = IntakeOptions::new(&query, &state.deps.intake)?;
    check_stores(&group, &options.wait)?;
    let mut decoded = Decoded::new(
        Layouts::new(group.schema.clone()),
        state.deps.intake.max_rows,
        state.budget.reserve(),
    );
    let body_hash = if body.bytes.is_empty() {
        intake::decode_record(&rejected.record.value, &mut decoded)?;
        xxh3_128(&rejected.record.value)
    } else {
        intake::decode_json(&body.bytes, &mut decoded, options.rows())?;
        if decoded.rows != 1 {
            let detail = "a rejected record is replaced by one row; send {\"rows\": [{…}]}";
            return Err(Problem::at(Code::InvalidValue, "/rows", detail).into());
        }
        xxh3_128(&body.bytes)
    };
    intake::check(&group, &mut decoded);
    let tolerance = std::time::Duration::from_millis(state.deps.intake.tolerance_ms);
    intake::wait_for_event_times(&decoded, &*state.deps.clock, tolerance).await;
    let key = ClaimKey {
        scope: format!("rejected/{}", group.name),
        key: shown(id),
    };
    let deadline = context.deadline.into_std();
    take_and_answer(&state, &group, decoded, body_hash, Some(key), &options, deadline).await
}
