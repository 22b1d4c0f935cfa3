use axum::extract::State;
use forebay_api::{Code, receipts::Receipt as ReceiptResponse};
use forebay_catalog::Group;
use forebay_server::{ApiError, ApiResult, Json, Path};
use forebay_storage::Appended;

use crate::{Store, intake, receipt::Receipt, state::AppState};

/// Where accepted rows are by now.
///
/// Tells for each store of the group whether it holds all rows that the receipt stands for.
#[utoipa::path(
    get,
    path = "/v1/receipts/{id}",
    operation_id = "getReceipt",
    tag = "ingestion",
    params(("id" = String, Path, description = "The receipt of an answer to `POST /v1/rows/{group}`")),
    responses((status = 200, description = "Where the rows are", body = ReceiptResponse))
)]
pub async fn receipt(State(state): State<AppState>, Path(id): Path<String>) -> ApiResult<Json<ReceiptResponse>> {
    let receipt = Receipt::decode(&id).ok_or_else(|| {
        ApiError::new(
            Code::NotFound,
            "this is no receipt; POST /v1/rows/{group} answers with one",
        )
    })?;
    let snapshot = state.deps.catalog.current();
    let group = snapshot
        .group_by_id(receipt.topic.group)
        .filter(|group| group.schema.generation == receipt.topic.generation)
        .ok_or_else(|| ApiError::new(Code::NotFound, "the group of this receipt's rows is gone"))?;
    let mut held = [None, None];
    for (held, (store, is_stored)) in held.iter_mut().zip([
        (Store::Online, group.is_online()),
        (Store::Offline, group.has_history()),
    ]) {
        if is_stored {
            *held = Some(holds(&state, group, store, &receipt).await?);
        }
    }
    let [online, offline] = held;
    Ok(Json(ReceiptResponse {
        receipt: id,
        group: group.name.to_string(),
        accepted: receipt.accepted(),
        online,
        offline,
    }))
}

async fn holds(state: &AppState, group: &Group, store: Store, receipt: &Receipt) -> ApiResult<bool> {
    for rows in &receipt.rows {
        let end = rows.first + rows.count;
        let reached = state.positions.reached(store, receipt.topic, rows.partition);
        if reached.is_none_or(|next| next < end) && !durably(state, group, store, rows).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks the store itself, for rows that a sink of another process, or of this one before it was restarted, has brought there.
async fn durably(state: &AppState, group: &Group, store: Store, rows: &Appended) -> ApiResult<bool> {
    let reached = match store {
        Store::Online => {
            let consumer = online_consumer(group, rows.partition);
            let position = state
                .deps
                .online
                .progress(&consumer)
                .await
                .map_err(intake::unavailable)?;
            position.and_then(|position| u64::try_from(position).ok())
        }
        Store::Offline => {
            let positions = state.deps.offline.positions(&group.schema, rows.partition + 1).await;
            positions
                .map_err(intake::unavailable)?
                .get(rows.partition as usize)
                .copied()
        }
    };
    Ok(reached.is_some_and(|next| next >= rows.first + rows.count))
}

/// The online sink's name in the online store's progress.
fn online_consumer(group: &Group, partition: u32) -> String {
    let schema = &group.schema;
    format!("rows/{}.{}/{partition}", schema.id.0, schema.generation.0)
}
