//! One commit, made against one version or not at all.

use std::collections::HashMap;

use deltalake::{
    DeltaTable, DeltaTableError,
    kernel::{
        Action, Transaction,
        transaction::{CommitBuilder, CommitProperties},
    },
    protocol::DeltaOperation,
};
use forebay_storage::TableVersion;
use serde_json::Value as Json;

use crate::{
    durable,
    log::NOTE_PREFIX,
    table::{Table, version_of},
};

/// What to commit.
pub(crate) struct Commit {
    pub(crate) actions: Vec<Action>,
    pub(crate) operation: DeltaOperation,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) notes: Vec<(String, Json)>,
}

/// Commits as the version after `base`. Fails when that version exists: nothing is tried again, and deltalake's conflict check, which lets two compactions of
/// one version both pass, is never asked. After any other error it is unknown whether the commit stands.
pub(crate) async fn commit_onto(base: &DeltaTable, commit: Commit) -> Result<TableVersion, DeltaTableError> {
    let metadata: HashMap<String, Json> = commit
        .notes
        .into_iter()
        .map(|(name, note)| (format!("{NOTE_PREFIX}{name}"), note))
        .collect();
    let prepared = CommitBuilder::from(properties().with_application_transactions(commit.transactions))
        .with_app_metadata(metadata)
        .with_actions(commit.actions)
        .build(Some(base.snapshot()?), base.log_store(), commit.operation)
        .into_prepared_commit_future()
        .await?;
    // The entry is written here, not by deltalake, which would list the log before and read it anew after.
    let version = version_of(base) + 1;
    let entry = prepared.commit_or_bytes().clone();
    base.log_store()
        .write_commit_entry(version, entry, Default::default())
        .await?;
    Ok(version)
}

/// No retries, and no housekeeping on the way: that is done under the table's lease.
pub(crate) fn properties() -> CommitProperties {
    CommitProperties::default()
        .with_max_retries(0)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
}

/// Forces the log entry of a version to the disk. What a bucket has said to have is durable.
pub(crate) async fn sync_entry(table: &Table, version: TableVersion) -> forebay_storage::Result<()> {
    match table.location.local() {
        Some(root) => durable::sync_files(vec![root.join(format!("_delta_log/{version:020}.json"))]).await,
        None => Ok(()),
    }
}
