//! Whether the stores hold the rows of a receipt.

use std::time::{Duration, Instant};

use forebay_catalog::Group;
use forebay_progress::Store;
use forebay_storage::Result;

use crate::{receipt::Receipt, sinks::online_consumer, state::State};

/// How often the stores themselves are asked while rows are waited for, in case what sinks say is lost on its way.
const ASK: Duration = Duration::from_secs(2);

/// Whether a store holds all rows of the receipt: as the sinks say, or else as the store itself knows.
///
/// # Errors
/// When the store cannot tell.
pub(crate) async fn holds(state: &State, group: &Group, store: Store, receipt: &Receipt) -> Result<bool> {
    let missing = |state: &State| {
        receipt.rows.iter().any(|rows| {
            let reached = state.positions.reached(store, receipt.topic, rows.partition);
            reached.is_none_or(|next| next < rows.first + rows.count)
        })
    };
    if !missing(state) {
        return Ok(true);
    }
    match store {
        Store::Online => {
            for partition in receipt.rows.iter().map(|rows| rows.partition) {
                let progress = state
                    .deps
                    .online
                    .progress(&online_consumer(receipt.topic, partition))
                    .await?;
                if let Some(next) = progress.and_then(|next| u64::try_from(next).ok()) {
                    state.positions.hear(store, receipt.topic, partition, next);
                }
            }
        }
        Store::Offline => {
            let last = receipt.rows.iter().map(|rows| rows.partition).max().unwrap_or_default();
            let positions = state
                .deps
                .offline
                .positions(&group.schema, last.saturating_add(1))
                .await?;
            for (partition, next) in (0..).zip(positions) {
                state.positions.hear(store, receipt.topic, partition, next);
            }
        }
    }
    Ok(!missing(state))
}

/// Waits until all these stores hold the rows of the receipt, or the deadline has passed; tells whether they do.
pub(crate) async fn wait(state: &State, group: &Group, stores: &[Store], receipt: &Receipt, deadline: Instant) -> bool {
    for store in stores {
        loop {
            let some_time = deadline.min(Instant::now() + ASK);
            let positions = &state.positions;
            if positions.wait(*store, receipt.topic, &receipt.rows, some_time).await {
                break;
            }
            let asked = tokio::time::timeout_at(
                deadline.max(Instant::now() + ASK / 10).into(),
                holds(state, group, *store, receipt),
            );
            if matches!(asked.await, Ok(Ok(true))) {
                break;
            }
            if Instant::now() >= deadline {
                return false;
            }
        }
    }
    !stores.is_empty()
}
