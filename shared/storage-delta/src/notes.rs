//! The notes of a table's commits.

use std::{future::ready, sync::Arc};

use deltalake::DeltaTable;
use forebay_model::Timestamp;
use forebay_storage::{CommitNotes, NotesOut, Result, TableVersion};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;

use crate::{
    error,
    log::Entry,
    table::{Table, version_of},
};

/// Log entries that are read at the same time, and so are in memory.
const AT_ONCE: usize = 16;

/// The notes of the commits since `since`, newest first. `prefix` is what the identifiers of the topic's positions begin with.
pub(crate) fn notes(table: Arc<Table>, newest: DeltaTable, prefix: String, since: Timestamp) -> NotesOut {
    let versions = (0..=version_of(&newest)).rev();
    let newest = Arc::new(newest);
    let prefix: Arc<str> = prefix.into();
    stream::iter(versions.map(move |version| {
        let newest = newest.clone();
        async move { Ok((version, Entry::read(&newest, version).await?)) }
    }))
    .buffered(AT_ONCE)
    .and_then(move |(version, entry)| {
        let (table, prefix) = (table.clone(), prefix.clone());
        async move {
            let Some(entry) = entry else { return Ok(None) };
            let looks_older = entry.committed_at.is_none_or(|at| at < since);
            if looks_older && is_older(&table, version, since).await? {
                return Ok(None);
            }
            Ok(Some(notes_of(version, entry, &prefix)))
        }
    })
    .try_take_while(|notes| ready(Ok(notes.is_some())))
    .try_filter_map(|notes| ready(Ok(notes)))
    .boxed()
}

fn notes_of(version: TableVersion, entry: Entry, prefix: &str) -> CommitNotes {
    let positions = entry.transactions.iter().filter_map(|(app, at)| {
        let partition = app.strip_prefix(prefix)?.parse().ok()?;
        Some((partition, u64::try_from(*at).ok()?))
    });
    CommitNotes {
        version,
        committed_at: entry.committed_at,
        positions: positions.collect(),
        notes: entry.notes,
    }
}

/// Whether a log entry was written before `since`, by the clock of the store that has it: the writer's may have been slow, and then its commit must not hide
/// those before it.
async fn is_older(table: &Table, version: TableVersion, since: Timestamp) -> Result<bool> {
    let folder = table.location.path().clone().join("_delta_log");
    match table
        .location
        .store()
        .head(&folder.join(format!("{version:020}.json")))
        .await
    {
        Ok(found) => Ok(found.last_modified.timestamp_micros() < since.micros()),
        // Nothing before it is left either.
        Err(object_store::Error::NotFound { .. }) => Ok(true),
        Err(failure) => Err(error::from_store(failure)),
    }
}
