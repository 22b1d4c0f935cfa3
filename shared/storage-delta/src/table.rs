//! One Delta table as this process knows it: the newest snapshot it has seen and the files of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use deltalake::{
    DeltaTable, DeltaTableError,
    kernel::transaction::TransactionError,
    logstore::{LogStoreRef, StorageConfig, default_logstore},
};
use forebay_storage::{Result, StorageError, TableVersion};
use object_store::{ObjectStore, ObjectStoreExt, path::Path as ObjectPath, prefix::PrefixStore};
use parking_lot::Mutex as SyncMutex;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    WHAT, error,
    files::{self, DataFile},
    location::Location,
    log_cache::LogCache,
    transactions::Transactions,
};

/// How long a call waits while others look at the same table. Each of their requests has a deadline of its own.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Table {
    pub(crate) location: Location,
    /// The store as the log is read through it: log entries in a bucket are fetched once.
    store: Arc<dyn ObjectStore>,
    cache: Option<Arc<LogCache>>,
    /// Counts looks at the table and calls for one, to tell which came first.
    clock: AtomicU64,
    newest: Mutex<Newest>,
    files: SyncMutex<Option<(TableVersion, Arc<Vec<DataFile>>)>>,
    pub(crate) transactions: Mutex<Transactions>,
}

#[derive(Default)]
struct Newest {
    known: Option<Known>,
    /// What the last look found, and when it began: whoever called before that may have it.
    looked: Option<(u64, Result<Option<DeltaTable>>)>,
}

struct Known {
    table: DeltaTable,
    /// The entity tag of the version's log entry: another one tells that the table was made anew.
    tag: Option<String>,
}

impl Table {
    pub(crate) fn new(location: Location) -> Self {
        let cache = match location.local() {
            Some(_) => None,
            None => Some(Arc::new(LogCache::new(location.store().clone()))),
        };
        Self {
            store: match &cache {
                Some(cache) => cache.clone(),
                None => location.store().clone(),
            },
            cache,
            location,
            clock: AtomicU64::default(),
            newest: Mutex::default(),
            files: SyncMutex::new(None),
            transactions: Mutex::default(),
        }
    }

    /// deltalake's own log store, whose commits are put if absent.
    pub(crate) fn log_store(&self) -> LogStoreRef {
        let prefixed = PrefixStore::new(self.store.clone(), self.location.path().clone());
        default_logstore(
            Arc::new(prefixed),
            self.store.clone(),
            &self.location.folder_url(),
            &StorageConfig::default(),
        )
    }

    /// The newest version; `None` when there is no table.
    pub(crate) async fn newest(&self) -> Result<Option<DeltaTable>> {
        let called = self.clock.fetch_add(1, Ordering::SeqCst);
        let mut newest = within(self.newest.lock()).await?;
        if let Some((began, found)) = &newest.looked
            && *began > called
        {
            return found.clone();
        }
        let began = self.clock.fetch_add(1, Ordering::SeqCst);
        let found = self.look(&mut newest.known).await;
        newest.looked = Some((began, found.clone()));
        found
    }

    async fn look(&self, known: &mut Option<Known>) -> Result<Option<DeltaTable>> {
        if let Some(before) = known.take() {
            let version = version_of(&before.table);
            let (entry, next) = match tokio::try_join!(self.entry(version), self.entry(version + 1)) {
                Ok(entries) => entries,
                Err(failure) => {
                    *known = Some(before);
                    return Err(failure);
                }
            };
            match (entry.filter(|entry| entry.tag == before.tag), next) {
                (Some(_), None) => {
                    let table = before.table.clone();
                    *known = Some(before);
                    return Ok(Some(table));
                }
                // Whatever is wrong with going on from what is known, loading anew decides: the log may have been cleaned up.
                (Some(_), Some(next)) => {
                    let mut table = before.table;
                    if table.update_incremental(None).await.is_ok() && version_of(&table) > version {
                        let next = (version_of(&table) == version + 1).then_some(next);
                        return self.adopt(known, table, next).await;
                    }
                }
                (None, _) => {}
            }
            self.forget_rest().await?;
        }
        if let Some(folder) = self.location.local()
            && !folder.join("_delta_log").is_dir()
        {
            return Ok(None);
        }
        let mut table = DeltaTable::new(self.log_store());
        match table.load().await {
            Ok(()) => self.adopt(known, table, None).await,
            Err(DeltaTableError::NotATable(_) | DeltaTableError::InvalidVersion(_)) => Ok(None),
            Err(failure) => Err(error::from_delta(failure)),
        }
    }

    /// Remembers a version, whose log entry is looked up unless it was just seen.
    async fn adopt(
        &self,
        known: &mut Option<Known>,
        table: DeltaTable,
        entry: Option<Entry>,
    ) -> Result<Option<DeltaTable>> {
        let entry = match entry {
            Some(entry) => Some(entry),
            None => self.entry(version_of(&table)).await?,
        };
        *known = entry.map(|entry| Known {
            table: table.clone(),
            tag: entry.tag,
        });
        Ok(Some(table))
    }

    /// A given version, or the newest.
    pub(crate) async fn at(&self, version: Option<TableVersion>) -> Result<Option<DeltaTable>> {
        let Some(newest) = self.newest().await? else {
            return Ok(None);
        };
        let Some(version) = version.filter(|version| newest.version() != Some(*version)) else {
            return Ok(Some(newest));
        };
        let mut table = DeltaTable::new(self.log_store());
        match table.load_version(version).await {
            Ok(()) => Ok(Some(table)),
            Err(failure) => {
                tracing::debug!(version, %failure, "a version cannot be loaded");
                if error::is_outage(&failure) {
                    return Err(error::from_delta(failure));
                }
                Err(StorageError::Gone {
                    what: WHAT,
                    detail: format!("version {version} of the table at {}", self.location),
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
        let files = Arc::new(files::of_snapshot(&self.location, table)?);
        *self.files.lock() = Some((version, files.clone()));
        Ok(files)
    }

    /// Where the log entry of a version lies.
    pub(crate) fn entry_path(&self, version: TableVersion) -> ObjectPath {
        let path = self.location.path();
        path.clone().join("_delta_log").join(format!("{version:020}.json"))
    }

    async fn entry(&self, version: TableVersion) -> Result<Option<Entry>> {
        match self.store.head(&self.entry_path(version)).await {
            Ok(found) => Ok(Some(Entry { tag: found.e_tag })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(failure) => Err(error::from_store(failure)),
        }
    }

    /// Forgets what is known: the table is removed, or parts of the log that it was read from are.
    pub(crate) async fn forget(&self) {
        let mut newest = self.newest.lock().await;
        *newest = Newest::default();
        if let Err(failure) = self.forget_rest().await {
            tracing::debug!(%failure, "identities are remembered of a table that is forgotten");
        }
    }

    async fn forget_rest(&self) -> Result<()> {
        *self.files.lock() = None;
        if let Some(cache) = &self.cache {
            cache.clear();
        }
        within(self.transactions.lock()).await?.clear();
        Ok(())
    }
}

/// A log entry that is there.
struct Entry {
    tag: Option<String>,
}

/// Waits for others to be done with what they look up, as long as is reasonable.
pub(crate) async fn within<'a, T: 'a>(lock: impl Future<Output = MutexGuard<'a, T>>) -> Result<MutexGuard<'a, T>> {
    let waited = tokio::time::timeout(PATIENCE, lock).await;
    waited.map_err(|_| StorageError::TimedOut { what: WHAT })
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
