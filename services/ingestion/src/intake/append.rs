use std::sync::Arc;

use bytes::Bytes;
use forebay_api::{
    Code, Problem,
    rows::{RejectedRow, RowsResponse},
};
use forebay_catalog::Group;
use forebay_model::{Duration, Timestamp};
use forebay_server::ApiError;
use forebay_storage::{BatchId, Claim, ClaimKey, ClaimOutcome, LogRow, StorageError, Topic};
use uuid::Uuid;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{Decoded, Rejections, set_times};
use crate::{in_flight::IngestTime, receipt::Receipt, state::State};

/// How long an idempotency key is remembered.
pub(crate) const KEY_LIFETIME: Duration = Duration::from_micros(86_400_000_000);

/// Rows that the log holds, and what their sender is told.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub receipt: Receipt,
    /// A [`RowsResponse`] as JSON.
    pub body: Bytes,
}

/// A key that this request works under. Another request with the key is told to wait until it is dropped.
pub struct Claimed {
    pub key: ClaimKey,
    pub claim: Claim,
    /// Whether this request made the claim.
    pub is_first: bool,
    state: Arc<State>,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.state.keys_in_use.lock().remove(&self.key);
    }
}

/// What a request with an idempotency key is to do.
pub enum Turn {
    /// Append its rows under the claim.
    Append(Claimed),
    /// It was answered before, like this.
    Answered(Bytes),
}

/// Claims a key for a request that would be taken in at `ingest_time`.
///
/// # Errors
/// 409 when a request with the key is under way, 422 when the key belongs to another request, 503 when the claims cannot be read.
pub async fn claim_of(
    state: &Arc<State>,
    key: ClaimKey,
    decoded: &Decoded,
    body_hash: u128,
    ingest_time: Timestamp,
) -> Result<Turn, ApiError> {
    if !state.keys_in_use.lock().insert(key.clone()) {
        let detail = "the first request with this Idempotency-Key is still being worked on; repeat this one shortly";
        return Err(Problem::new(Code::IdempotencyKeyInUse, detail).retry_after(1).into());
    }
    let claim = Claim {
        body_hash,
        batch: batch_id(&key, body_hash, ingest_time, decoded),
        ingest_time,
    };
    let mut claimed = Claimed {
        key,
        claim,
        is_first: true,
        state: state.clone(),
    };
    let not_before = ingest_time.saturating_sub(KEY_LIFETIME);
    let outcome = state
        .deps
        .claims
        .claim(&claimed.key, &claimed.claim, not_before)
        .await
        .map_err(unavailable)?;
    let (earlier, answer) = match outcome {
        ClaimOutcome::Claimed => return Ok(Turn::Append(claimed)),
        ClaimOutcome::Pending(earlier) => (earlier, None),
        ClaimOutcome::Answered(earlier, answer) => (earlier, Some(answer)),
    };
    if earlier.body_hash != body_hash {
        let detail = "this Idempotency-Key was used with other rows or options within the last day; send a new key with new rows";
        return Err(Problem::parameter(Code::IdempotencyKeyReused, "Idempotency-Key", detail).into());
    }
    match answer {
        Some(answer) => Ok(Turn::Answered(answer)),
        None => {
            claimed.claim = earlier;
            claimed.is_first = false;
            Ok(Turn::Append(claimed))
        }
    }
}

/// Frees the key of a claim under which nothing was appended.
///
/// # Errors
/// 503 when the claims cannot be written.
pub async fn give_up(claimed: Claimed) -> Result<(), ApiError> {
    let claims = Arc::clone(&claimed.state.deps.claims);
    claims.abandon(&claimed.key, &claimed.claim).await.map_err(unavailable)
}

/// Identifies the rows of a request with a key: the same in every attempt, and another for another key, body, day or choice of rows that may be taken in.
pub fn batch_id(key: &ClaimKey, body_hash: u128, moment: Timestamp, decoded: &Decoded) -> BatchId {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(key.scope.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(key.key.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&body_hash.to_le_bytes());
    bytes.extend_from_slice(&moment.micros().to_le_bytes());
    let mut chosen = Xxh3::new();
    for part in &decoded.parts {
        for (row, index) in part.indexes.iter().enumerate() {
            if part.rows.event_time(row) <= moment {
                chosen.update(&index.to_le_bytes());
            }
        }
    }
    bytes.extend_from_slice(&chosen.digest128().to_le_bytes());
    BatchId::of(moment, xxh3_128(&bytes))
}

/// Appends the rows that do not lie ahead, and stores the answer if there is a claim.
///
/// # Errors
/// 429 when the log is full, 503 when it is down.
pub async fn append(
    state: &State,
    group: &Group,
    mut decoded: Decoded,
    rejections: Rejections,
    ingest_time: IngestTime,
    claimed: Option<Claimed>,
) -> Result<Accepted, ApiError> {
    let (moment, batch) = match &claimed {
        Some(claimed) => (claimed.claim.ingest_time, claimed.claim.batch),
        None => (ingest_time.time(), BatchId(Uuid::nil())),
    };
    if ingest_time.time() > moment.saturating_add(KEY_LIFETIME) {
        // The sinks forget batches some time after their claims.
        let detail = "the first request with this Idempotency-Key was made a day ago; send the rows with a new key";
        return Err(ApiError::new(Code::Conflict, detail));
    }
    // The group may have settled beyond the time of a claim whose first attempt died, so the rows are taken in when they are, not when they were first sent.
    set_times(&mut decoded, moment, ingest_time.time().max(moment));
    let count = decoded.accepted();
    let mut rows = Vec::with_capacity(count as usize);
    for part in decoded.parts {
        rows.extend(part.rows.freeze().iter().map(|(key, row)| LogRow { key, row }));
    }
    let appended = if rows.is_empty() {
        Vec::new()
    } else {
        let deps = &state.deps;
        let known = state.same_logs.check(deps, &group.schema).await;
        known.map_err(unavailable)?;
        let appending = deps.row_log.append(&group.schema, batch, rows);
        appending.await.map_err(unavailable)?
    };
    drop(ingest_time);
    let receipt = Receipt {
        topic: Topic::of(&group.schema),
        rows: appended,
    };
    let measures = state.measures.intake(group);
    measures.ingested.increment(count);
    measures.rejected.increment(rejections.count);
    let response = RowsResponse {
        receipt: receipt.encode(),
        accepted: count,
        rejected_count: rejections.count,
        rejected: listed(&rejections),
    };
    let body = Bytes::from(serde_json::to_vec(&response).map_err(ApiError::internal)?);
    if let Some(claimed) = &claimed {
        // The rows are in. Without the stored answer a repetition appends them once more under the same identity, and the sinks drop them.
        match state.deps.claims.answer(&claimed.key, body.clone()).await {
            // An attempt of the same request beside this one was answered first: all are answered alike.
            Ok(first) if first != body => return replayed(first),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the answer to a request with an idempotency key could not be stored"),
        }
    }
    Ok(Accepted { receipt, body })
}

/// The answer that was given before.
///
/// # Errors
/// When it cannot be read.
pub fn replayed(body: Bytes) -> Result<Accepted, ApiError> {
    let response: RowsResponse = serde_json::from_slice(&body).map_err(ApiError::internal)?;
    let receipt = Receipt::decode(&response.receipt).ok_or_else(|| ApiError::internal(ForeignAnswer))?;
    Ok(Accepted { receipt, body })
}

#[derive(Debug, thiserror::Error)]
#[error("the stored answer of an idempotency key holds no receipt")]
struct ForeignAnswer;

/// The rejected rows as an answer lists them.
pub fn listed(rejections: &Rejections) -> Vec<RejectedRow> {
    rejections
        .listed
        .iter()
        .map(|(index, reject)| RejectedRow {
            index: *index,
            field: reject.field.as_deref().map(str::to_owned),
            code: reject.code.as_str().to_owned(),
            detail: reject.detail.clone(),
        })
        .collect()
}

/// The answer when the log or another store does not take part.
pub fn unavailable(error: StorageError) -> ApiError {
    match &error {
        StorageError::Full { .. } => Problem::new(Code::Full, error.to_string()).retry_after(1).into(),
        StorageError::NotProvisioned { .. } => Problem::new(Code::NotReady, error.to_string()).retry_after(1).into(),
        StorageError::Unavailable { what, .. } => {
            ApiError::unavailable(format!("{what} is down; send the rows again shortly"), error)
        }
        StorageError::TimedOut { .. }
        | StorageError::NoSpace { .. }
        | StorageError::Closed { .. }
        | StorageError::Gone { .. }
        | StorageError::Misconfigured { .. }
        | StorageError::NewerLayout { .. } => ApiError::unavailable(error.to_string(), error),
        _ => ApiError::internal(error),
    }
}
