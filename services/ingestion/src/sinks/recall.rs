//! What stands below a position of the log, for a sink that does not remember it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use forebay_model::{GroupSchema, Timestamp};
use forebay_storage::{BatchId, LoggedRow, Result};
use futures::TryStreamExt;

use super::{note::noted, ordinals::Ordinals, taken::APART};
use crate::Deps;

/// Rows that are read from the log at once, in bytes.
const FETCH_BYTES: usize = 4 << 20;

/// Which rows of these batches stand in a partition below `position`: the commits tell of those below the last of them, the log of the others. A table whose
/// log was cleaned up since the batches were first sent, or a log that has dropped rows of a group without history, tells of what it has.
pub(crate) async fn recall(
    deps: &Deps,
    schema: &Arc<GroupSchema>,
    partition: u32,
    position: u64,
    has_history: bool,
    wanted: &BTreeSet<BatchId>,
) -> Result<BTreeMap<BatchId, Ordinals>> {
    let mut found: BTreeMap<BatchId, Ordinals> = BTreeMap::new();
    let Some(oldest) = wanted.iter().filter_map(BatchId::moment).min() else {
        return Ok(found);
    };
    let since = oldest.saturating_sub(APART);
    let mut boundary = 0;
    if has_history {
        let positions = deps.offline.positions(schema, partition.saturating_add(1)).await?;
        let committed = positions.last().copied().filter(|committed| *committed <= position);
        boundary = committed.unwrap_or_default();
        let mut commits = deps.offline.notes(schema, since).await?;
        while let Some(commit) = commits.try_next().await? {
            let Some(to) = commit.positions.get(&partition).filter(|to| **to <= position) else {
                continue;
            };
            boundary = boundary.max(*to);
            for (batch, ordinals) in noted(&commit, partition) {
                if wanted.contains(&batch) {
                    found.entry(batch).or_default().add_all(&ordinals);
                }
            }
        }
    }
    let from = reach_back(deps, schema, partition, boundary, position, since).await?;
    read(deps, schema, partition, from, position, |rows| {
        for row in rows.iter().filter(|row| wanted.contains(&row.batch)) {
            found.entry(row.batch).or_default().add(row.ordinal, row.ordinal);
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// From where on the log is to be read for all rows below `to` that were appended since `since` and stand above `boundary`.
pub(crate) async fn reach_back(
    deps: &Deps,
    schema: &Arc<GroupSchema>,
    partition: u32,
    boundary: u64,
    to: u64,
    since: Timestamp,
) -> Result<u64> {
    if boundary >= to {
        return Ok(to);
    }
    let bounds = deps.row_log.bounds(schema).await?;
    let first = bounds.get(partition as usize).map_or(0, |bounds| bounds.0);
    let at = deps.row_log.offset_at(schema, partition, since).await?;
    Ok(boundary.max(first).max(at))
}

/// Reads the rows from `from` up to `to`, some at a time.
pub(crate) async fn read(
    deps: &Deps,
    schema: &Arc<GroupSchema>,
    partition: u32,
    from: u64,
    to: u64,
    mut each: impl FnMut(&[LoggedRow]) -> Result<()>,
) -> Result<()> {
    let mut next = from;
    while next < to {
        let fetching = deps.row_log.fetch(schema, partition, next, FETCH_BYTES, Duration::ZERO);
        let fetched = fetching.await?;
        if fetched.next <= next {
            break;
        }
        let below = fetched.rows.partition_point(|row| row.offset < to);
        each(&fetched.rows[..below])?;
        next = fetched.next;
    }
    Ok(())
}
