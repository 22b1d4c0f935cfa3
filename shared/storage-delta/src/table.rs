//! One Delta table as this process knows it: the newest snapshot it has seen and the files of it.

use std::{path::PathBuf, sync::Arc};

use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError, kernel::transaction::TransactionError};
use forebay_storage::{Result, StorageError, TableVersion};
use parking_lot::Mutex as SyncMutex;
use tokio::sync::Mutex;
use url::Url;

use crate::{
    WHAT, error,
    files::{self, DataFile},
};

pub(crate) struct Table {
    pub(crate) path: PathBuf,
    newest: Mutex<Option<DeltaTable>>,
    files: SyncMutex<Option<(TableVersion, Arc<Vec<DataFile>>)>>,
}

impl Table {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            newest: Mutex::new(None),
            files: SyncMutex::new(None),
        }
    }

    pub(crate) fn url(&self) -> Result<Url> {
        Url::from_directory_path(&self.path)
            .map_err(|()| StorageError::corrupt(WHAT, format!("`{}` is no absolute path", self.path.display())))
    }

    pub(crate) fn builder(&self) -> Result<DeltaTableBuilder> {
        DeltaTableBuilder::from_url(self.url()?).map_err(error::from_delta)
    }

    /// The newest version; `None` when there is no table.
    pub(crate) async fn newest(&self) -> Result<Option<DeltaTable>> {
        let mut newest = self.newest.lock().await;
        if let Some(known) = &*newest
            && self.has_entry(version_of(known)).await
            && !self.has_entry(version_of(known) + 1).await
        {
            return Ok(Some(known.clone()));
        }
        if let Some(mut table) = newest.take() {
            // Whatever is wrong with going on from what is known, loading anew decides: the log may have been cleaned up, or the table made anew.
            if table.update_incremental(None).await.is_ok() && self.has_entry(version_of(&table)).await {
                *newest = Some(table.clone());
                return Ok(Some(table));
            }
        }
        if !self.path.join("_delta_log").is_dir() {
            return Ok(None);
        }
        match self.builder()?.load().await {
            Ok(table) => {
                *newest = Some(table.clone());
                Ok(Some(table))
            }
            Err(DeltaTableError::NotATable(_) | DeltaTableError::InvalidVersion(_)) => Ok(None),
            Err(failure) => Err(error::from_delta(failure)),
        }
    }

    /// A given version, or the newest.
    pub(crate) async fn at(&self, version: Option<TableVersion>) -> Result<Option<DeltaTable>> {
        let Some(newest) = self.newest().await? else {
            return Ok(None);
        };
        let Some(version) = version.filter(|version| newest.version() != Some(*version)) else {
            return Ok(Some(newest));
        };
        match self.builder()?.with_version(version).load().await {
            Ok(table) => Ok(Some(table)),
            Err(failure) => {
                tracing::debug!(version, %failure, "a version cannot be loaded");
                Err(StorageError::Gone {
                    what: WHAT,
                    detail: format!("version {version} of the table at {}", self.path.display()),
                })
            }
        }
    }

    /// The data files of a snapshot of this table, parsed once per version.
    pub(crate) fn files(&self, table: &DeltaTable) -> Result<Arc<Vec<DataFile>>> {
        let version = version_of(table);
        if let Some((known, files)) = &*self.files.lock()
            && *known == version
        {
            return Ok(files.clone());
        }
        let files = Arc::new(files::of_snapshot(&self.path, table)?);
        *self.files.lock() = Some((version, files.clone()));
        Ok(files)
    }

    async fn has_entry(&self, version: TableVersion) -> bool {
        let entry = self.path.join(format!("_delta_log/{version:020}.json"));
        tokio::fs::try_exists(entry).await.unwrap_or(false)
    }

    /// Forgets what is known: the table is removed, or parts of the log that it was read from are.
    pub(crate) async fn forget(&self) {
        *self.newest.lock().await = None;
        *self.files.lock() = None;
    }
}

pub(crate) fn version_of(table: &DeltaTable) -> TableVersion {
    table.version().unwrap_or_default()
}

/// Whether a commit failed because somebody else has committed first.
pub(crate) fn is_overtaken(failure: &DeltaTableError) -> bool {
    matches!(
        failure,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::MaxCommitAttempts(_)
                    | TransactionError::VersionAlreadyExists(_)
                    | TransactionError::CommitConflict(_)
            }
    )
}
