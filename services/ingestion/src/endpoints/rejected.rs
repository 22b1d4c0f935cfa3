use axum::extract::State;
use base64::{Engine, engine::general_purpose::STANDARD};
use forebay_api::{
    Code, Page, Problem,
    rejected::{RejectedQuery, RejectedRecord},
};
use forebay_model::GroupName;
use forebay_server::{ApiError, ApiResult, Json, Path, Query};
use forebay_storage::{Rejected, RejectedId};

use crate::{intake, state::AppState};

const PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;

/// What came into row topics and is no row of its group.
///
/// Oldest first. A record may be listed twice when a sink was interrupted. Look at one for its bytes; replay it after the schema was mended, or with a mended row.
#[utoipa::path(
    get,
    path = "/v1/rejected",
    operation_id = "listRejected",
    tag = "ingestion",
    params(RejectedQuery),
    responses((status = 200, description = "The records, without their bytes", body = Page<RejectedRecord>))
)]
pub async fn list(
    State(state): State<AppState>,
    Query(query): Query<RejectedQuery>,
) -> ApiResult<Json<Page<RejectedRecord>>> {
    let group: Option<GroupName> = match &query.group {
        None => None,
        Some(name) => Some(
            name.parse()
                .map_err(|_| invalid("group", "expected the name of a feature group"))?,
        ),
    };
    let size = query.page_size.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&size) {
        return Err(invalid("page_size", "expected a number from 1 to 1000"));
    }
    let after = match &query.page_token {
        None => None,
        Some(token) => Some(parse(token).ok_or_else(|| {
            let detail = "the page token is not one of this list";
            ApiError::from(Problem::parameter(Code::InvalidPageToken, "page_token", detail))
        })?),
    };
    let listed = state.deps.rejected.list(group.as_ref(), after, size as usize).await;
    let (records, next) = listed.map_err(intake::unavailable)?;
    let items = records
        .into_iter()
        .map(|(id, rejected)| RejectedRecord {
            key: None,
            value: None,
            ..record(id, &rejected)
        })
        .collect();
    Ok(Json(Page {
        items,
        next_page_token: next.map(shown),
    }))
}

/// A rejected record with its bytes.
#[utoipa::path(
    get,
    path = "/v1/rejected/{id}",
    operation_id = "getRejected",
    tag = "ingestion",
    params(("id" = String, Path, description = "The id of the list", example = "0-17")),
    responses((status = 200, description = "The record", body = RejectedRecord))
)]
pub async fn get(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Json<RejectedRecord>> {
    let (id, rejected) = find(&state, &id).await?;
    Ok(Json(record(id, &rejected)))
}

/// The rejected record of a path.
pub async fn find(state: &AppState, id: &str) -> ApiResult<(RejectedId, Rejected)> {
    let gone = || {
        ApiError::new(
            Code::NotFound,
            "no rejected record has this id, or it is kept no longer",
        )
    };
    let id = parse(id).ok_or_else(gone)?;
    let rejected = state.deps.rejected.get(id).await.map_err(intake::unavailable)?;
    Ok((id, rejected.ok_or_else(gone)?))
}

/// An id as callers see it.
pub fn shown(id: RejectedId) -> String {
    format!("{}-{}", id.partition, id.offset)
}

fn parse(text: &str) -> Option<RejectedId> {
    let (partition, offset) = text.split_once('-')?;
    let id = RejectedId {
        partition: partition.parse().ok()?,
        offset: offset.parse().ok()?,
    };
    (shown(id) == text).then_some(id)
}

fn record(id: RejectedId, rejected: &Rejected) -> RejectedRecord {
    RejectedRecord {
        id: shown(id),
        group: rejected.group.to_string(),
        code: rejected.record.code.clone(),
        detail: rejected.record.detail.clone(),
        partition: rejected.partition,
        offset: rejected.record.offset,
        rejected_at: rejected.rejected_at.to_string(),
        key: rejected.record.key.as_ref().map(|key| STANDARD.encode(key)),
        value: Some(STANDARD.encode(&rejected.record.value)),
    }
}

fn invalid(name: &str, detail: &str) -> ApiError {
    Problem::parameter(Code::InvalidParameter, name, detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_other_words_do_not() {
        let id = RejectedId {
            partition: 3,
            offset: 17,
        };
        assert_eq!(parse(&shown(id)), Some(id));
        for word in ["", "3", "3-", "-17", "03-17", "3-17-1", "3-+17", "a-b"] {
            assert_eq!(parse(word), None, "{word}");
        }
    }
}
