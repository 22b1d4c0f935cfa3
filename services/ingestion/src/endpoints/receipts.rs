use axum::extract::State;
use forebay_api::{Code, receipts::Receipt as ReceiptResponse};
use forebay_server::{ApiError, ApiResult, Json, Path};

use crate::{Store, holds, intake, receipt::Receipt, state::AppState};

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
            let holds = holds::holds(&state, group, store, &receipt).await;
            *held = Some(holds.map_err(intake::unavailable)?);
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
