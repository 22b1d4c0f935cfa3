use std::{borrow::Cow, sync::Arc, time::Instant};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use forebay_api::{Code, Problem, ProblemError, push_pointer};
use forebay_catalog::Group;
use forebay_server::{ApiError, ApiResult};
use forebay_storage::ClaimKey;
use http::{HeaderName, HeaderValue, StatusCode, header};
use tracing::Instrument;

use crate::{
    Store, holds,
    intake::{self, Decoded, IntakeOptions, Rejections, Taken},
    state::AppState,
};

/// Tells a repeated answer from a first one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Time left of a request's deadline when waiting for its rows ends, so that the answer still gets out.
const MARGIN: std::time::Duration = std::time::Duration::from_millis(250);

/// Takes rows in, waits for the stores that the request names, and answers.
///
/// # Errors
/// As `POST /v1/rows/{group}`.
pub async fn take_and_answer(
    state: &AppState,
    group: &Arc<Group>,
    decoded: Decoded,
    body_hash: u128,
    key: Option<ClaimKey>,
    options: &IntakeOptions,
    deadline: Instant,
) -> ApiResult<Response> {
    let deadline = deadline - MARGIN;
    // What has begun is brought to its end, also when the caller goes away.
    let taking = intake::take_in(
        state.clone(),
        group.clone(),
        decoded,
        body_hash,
        key,
        options.skip_invalid,
    );
    let taking = tokio::spawn(taking.in_current_span());
    let Ok(taken) = tokio::time::timeout_at(deadline.into(), taking).await else {
        let detail = "the stream or the claims did not answer in time, so that it is not known whether the rows were taken in; send them again with the same Idempotency-Key";
        return Err(Problem::new(Code::Unavailable, detail).retry_after(1).into());
    };
    let (accepted, replayed) = match taken.map_err(ApiError::internal)?? {
        Taken::In(accepted) => (accepted, false),
        Taken::Before(accepted) => (accepted, true),
        Taken::Refused(rejections) => {
            state.measures.intake(group).rejected.increment(rejections.count);
            return Err(rejected(group, &rejections));
        }
    };
    let deadline = (Instant::now() + options.timeout).min(deadline);
    let status = match holds::wait(state, group, &options.wait, &accepted.receipt, deadline).await {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    Ok(answer(status, accepted.body, replayed))
}

/// Refuses to wait for a store that the group is not kept in.
///
/// # Errors
/// 422.
pub fn check_stores(group: &Group, wait: &[Store]) -> ApiResult<()> {
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
