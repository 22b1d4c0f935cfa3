//! The application transaction identifiers of a table, remembered: deltalake replays the log for each question.

use std::collections::HashMap;

use deltalake::DeltaTable;
use forebay_storage::{Result, TableVersion};

use crate::{
    error,
    log::Entry,
    table::{Table, version_of, within},
};

/// Identifiers that are remembered at most.
const REMEMBERED: usize = 10_000;
/// Entries that are read at most to go on from what is remembered.
const STEPS: u64 = 200;

/// What was found, as of one version.
#[derive(Default)]
pub(crate) struct Transactions {
    at: Option<TableVersion>,
    versions: HashMap<String, Option<i64>>,
}

impl Transactions {
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Goes on to a later version, by the entries of its log.
    async fn follow(&mut self, base: &DeltaTable) -> Result<()> {
        let version = version_of(base);
        let from = match self.at {
            Some(at) if at <= version && version - at <= STEPS && self.versions.len() <= REMEMBERED => at,
            _ => {
                self.clear();
                version
            }
        };
        for step in from + 1..=version {
            match Entry::read(base, step).await? {
                Some(entry) => {
                    let transactions = entry.transactions.into_iter();
                    self.versions
                        .extend(transactions.map(|(id, version)| (id, Some(version))));
                    self.at = Some(step);
                }
                None => self.clear(),
            }
        }
        self.at = Some(version);
        Ok(())
    }
}

/// What an identifier stands at in a version; `None` when the version does not have it.
pub(crate) async fn transaction(table: &Table, base: &DeltaTable, id: &str) -> Result<Option<i64>> {
    let mut known = within(table.transactions.lock()).await?;
    if known.at.is_some_and(|at| at > version_of(base)) {
        // Others have gone on meanwhile; what is known of later versions says nothing about this one.
        return replay(base, id).await;
    }
    known.follow(base).await?;
    if let Some(found) = known.versions.get(id) {
        return Ok(*found);
    }
    let found = replay(base, id).await?;
    known.versions.insert(id.to_owned(), found);
    Ok(found)
}

async fn replay(base: &DeltaTable, id: &str) -> Result<Option<i64>> {
    let snapshot = base.snapshot().map_err(error::from_delta)?;
    snapshot
        .transaction_version(base.log_store().as_ref(), id)
        .await
        .map_err(error::from_delta)
}
