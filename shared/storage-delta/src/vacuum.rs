//! Removing files that no version needs which anybody may still read.
//!
//! deltalake's own vacuum is not used: it protects the files of single versions but not of those between them, commits twice, and writes a checkpoint and
//! cleans up the log by the way, whatever is pinned.

use std::{collections::HashSet, time::Duration};

use deltalake::DeltaTable;
use forebay_model::Timestamp;
use forebay_storage::{Result, StorageError, TableVersion};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use crate::{
    WHAT, error, log,
    table::{Table, version_of},
};

/// Removes what has not been needed for as long as `kept` before `now`, and says how many files that were. Versions from `pin` on keep all they need.
pub(crate) async fn vacuum(
    table: &Table,
    newest: &DeltaTable,
    kept: Duration,
    pin: Option<TableVersion>,
    now: Timestamp,
) -> Result<usize> {
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    let cutoff = now.micros().div_euclid(1_000).saturating_sub(kept);
    let needed = needed(table, newest, cutoff, pin).await?;
    let root = table.location.path();
    let unneeded = table.location.store().list(Some(root)).try_filter_map(|file| {
        let inner: Option<Path> = file.location.prefix_match(root).map(Iterator::collect);
        // Files that no commit names yet are younger than what is kept.
        let old = file.last_modified.timestamp_millis() <= cutoff;
        let unneeded = inner.is_some_and(|inner| old && !is_hidden(&inner)) && !needed.contains(&file.location);
        std::future::ready(Ok(unneeded.then_some(file.location)))
    });
    // Listed as a whole before anything is removed: a listing that fails half-way leaves everything.
    let unneeded: Vec<Path> = unneeded.try_collect().await.map_err(error::from_store)?;
    if unneeded.is_empty() {
        return Ok(0);
    }
    let paths = stream::iter(unneeded).map(Ok).boxed();
    let removed = table
        .location
        .store()
        .delete_stream(paths)
        .map(|removed| match removed {
            Err(object_store::Error::NotFound { .. }) => Ok(0),
            removed => removed.map(|_| 1),
        });
    let removed: Vec<usize> = removed.try_collect().await.map_err(error::from_store)?;
    Ok(removed.iter().sum())
}

/// The files of the newest version, those that it has removed since the cutoff, and all that versions from the pin on have.
async fn needed(table: &Table, newest: &DeltaTable, cutoff: i64, pin: Option<TableVersion>) -> Result<HashSet<Path>> {
    let mut needed: HashSet<Path> = table.files(newest)?.iter().map(|file| file.path.clone()).collect();
    let snapshot = newest.snapshot().map_err(error::from_delta)?;
    let log_store = newest.log_store();
    let mut removed = snapshot.all_tombstones(log_store.as_ref());
    while let Some(file) = removed.try_next().await.map_err(error::from_delta)? {
        if file.deletion_timestamp().is_none_or(|at| at > cutoff) {
            needed.extend(table.location.object(&file.path()));
        }
    }
    let newest_version = version_of(newest);
    let Some(pin) = pin.filter(|pin| *pin < newest_version) else {
        return Ok(needed);
    };
    let gone = || StorageError::Gone {
        what: WHAT,
        detail: format!(
            "the log of the table at {} since its pinned version {pin}",
            table.location
        ),
    };
    let pinned = table.at(Some(pin)).await?.ok_or_else(gone)?;
    needed.extend(
        crate::files::of_snapshot(&table.location, &pinned)?
            .into_iter()
            .map(|file| file.path),
    );
    let mut since = std::pin::pin!(log::entries(newest, pin + 1..=newest_version));
    while let Some((_, entry)) = since.try_next().await? {
        let entry = entry.ok_or_else(gone)?;
        needed.extend(entry.files.iter().filter_map(|path| table.location.object(path)));
    }
    Ok(needed)
}

/// The log, and what other tools keep beside the data.
fn is_hidden(inner: &Path) -> bool {
    inner.parts().any(|part| part.as_ref().starts_with(['_', '.']))
}
