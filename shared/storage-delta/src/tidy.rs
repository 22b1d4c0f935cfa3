//! Checkpoints, removal of expired log entries, vacuum.

use std::sync::Arc;

use chrono::TimeDelta;
use deltalake::{
    DeltaTable, checkpoints,
    operations::vacuum::{Clock, VacuumMode},
};
use forebay_model::Timestamp;
use forebay_storage::{Result, Retention, TableVersion, Tidied};

use crate::{
    commit, error,
    table::{Table, version_of},
};

/// The moment at which vacuum judges ages.
#[derive(Debug)]
struct At(Timestamp);

impl Clock for At {
    fn current_timestamp_millis(&self) -> i64 {
        self.0.micros().div_euclid(1_000)
    }
}

pub(crate) async fn tidy(table: &Table, retention: &Retention, now: Timestamp) -> Result<Tidied> {
    let Some(newest) = table.newest().await? else {
        return Ok(Tidied::default());
    };
    let checkpoint = checkpoint(table, &newest, retention).await?;
    let log_entries_removed = clean_log(&newest, retention, now).await?;
    if log_entries_removed > 0 {
        table.forget().await;
    }
    let files_removed = match table.newest().await? {
        Some(newest) => vacuum(newest, retention, now).await?,
        None => 0,
    };
    Ok(Tidied {
        checkpoint,
        log_entries_removed,
        files_removed,
    })
}

async fn checkpoint(table: &Table, newest: &DeltaTable, retention: &Retention) -> Result<Option<TableVersion>> {
    let version = version_of(newest);
    let last = last_checkpoint(table).await;
    let since = version - last.unwrap_or(0).min(version);
    if since < retention.checkpoint_every.max(1) {
        return Ok(None);
    }
    checkpoints::create_checkpoint(newest, None)
        .await
        .map_err(error::from_delta)?;
    Ok(Some(version))
}

/// The version of the newest checkpoint, as the table's hint tells.
async fn last_checkpoint(table: &Table) -> Option<TableVersion> {
    let hint = tokio::fs::read(table.path.join("_delta_log/_last_checkpoint"))
        .await
        .ok()?;
    serde_json::from_slice::<serde_json::Value>(&hint)
        .ok()?
        .get("version")?
        .as_u64()
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

async fn vacuum(newest: DeltaTable, retention: &Retention, now: Timestamp) -> Result<usize> {
    let kept = TimeDelta::from_std(retention.files).unwrap_or(TimeDelta::MAX);
    let mut vacuum = newest
        .vacuum()
        .with_retention_period(kept)
        .with_enforce_retention_duration(false)
        .with_clock(Arc::new(At(now)))
        // Files of commits that never came to be are removed as well, once they are old enough.
        .with_mode(VacuumMode::Full)
        .with_commit_properties(commit::properties());
    if let Some(pin) = retention.oldest_pin {
        vacuum = vacuum.with_keep_versions(&[pin]);
    }
    let (_, metrics) = vacuum.await.map_err(error::from_delta)?;
    Ok(metrics.files_deleted.len())
}
