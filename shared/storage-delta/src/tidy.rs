//! Checkpoints, removal of expired log entries, vacuum.

use deltalake::{DeltaTable, checkpoints};
use forebay_model::Timestamp;
use forebay_storage::{Result, Retention, TableVersion, Tidied};
use object_store::ObjectStoreExt;

use crate::{
    error,
    table::{Table, version_of},
    vacuum::vacuum,
};

pub(crate) async fn tidy(table: &Table, retention: &Retention, now: Timestamp) -> Result<Tidied> {
    let Some(newest) = table.newest().await? else {
        return Ok(Tidied::default());
    };
    let checkpoint = checkpoint(table, &newest, retention).await?;
    // Before the log is cleaned up: what a pinned version needs is found in its entries.
    let files_removed = vacuum(table, &newest, retention.files, retention.oldest_pin, now).await?;
    let log_entries_removed = clean_log(&newest, retention, now).await?;
    if log_entries_removed > 0 {
        table.forget().await;
    }
    Ok(Tidied {
        checkpoint,
        log_entries_removed,
        files_removed,
    })
}

async fn checkpoint(table: &Table, newest: &DeltaTable, retention: &Retention) -> Result<Option<TableVersion>> {
    let version = version_of(newest);
    let last = last_checkpoint(table).await?;
    let since = version - last.unwrap_or(0).min(version);
    if since < retention.checkpoint_every.max(1) {
        return Ok(None);
    }
    let (newest, runtime) = (newest.clone(), tokio::runtime::Handle::current());
    // It is written by blocking calls.
    tokio::task::spawn_blocking(move || runtime.block_on(checkpoints::create_checkpoint(&newest, None)))
        .await
        .map_err(error::from_join)?
        .map_err(error::from_delta)?;
    Ok(Some(version))
}

/// The version of the newest checkpoint, as the table's hint tells.
async fn last_checkpoint(table: &Table) -> Result<Option<TableVersion>> {
    let path = table
        .location
        .path()
        .clone()
        .join("_delta_log")
        .join("_last_checkpoint");
    let hint = match table.location.store().get(&path).await {
        Ok(found) => found.bytes().await.map_err(error::from_store)?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(failure) => return Err(error::from_store(failure)),
    };
    let hint = serde_json::from_slice::<serde_json::Value>(&hint).ok();
    Ok(hint.and_then(|hint| hint.get("version")?.as_u64()))
}

async fn clean_log(newest: &DeltaTable, retention: &Retention, now: Timestamp) -> Result<usize> {
    let kept = i64::try_from(retention.log.as_millis()).unwrap_or(i64::MAX);
    let cutoff = now.micros().div_euclid(1_000).saturating_sub(kept);
    let until = retention
        .oldest_pin
        .unwrap_or(TableVersion::MAX)
        .min(version_of(newest));
    checkpoints::cleanup_expired_logs_for(until, newest.log_store().as_ref(), cutoff, None)
        .await
        .map_err(error::from_delta)
}
