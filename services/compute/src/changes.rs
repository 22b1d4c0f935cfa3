//! What was added to the tables that queries read, without reading their logs again and again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use forebay_model::Timestamp;
use forebay_storage::{
    ChangeKind, Changes, OfflineStore, SourceError, SourceTables, StorageError, TableChange, TableVersion,
};
use parking_lot::Mutex;

use crate::reads::Read;

/// Changes remembered of one table; a group that lags further behind is computed as a whole.
const REMEMBERED: usize = 4_096;
const PAGE: usize = 1_000;

/// What of a table is new to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    Nothing,
    /// Event times from the first to the second, both included.
    Range(Timestamp, Timestamp),
    /// Which ones cannot be told.
    Everything,
}

impl News {
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, news) | (news, Self::Nothing) => news,
            (Self::Range(a, b), Self::Range(c, d)) => Self::Range(a.min(c), b.max(d)),
            _ => Self::Everything,
        }
    }
}

#[derive(Default)]
struct Known {
    /// Changes after this version are known.
    floor: Option<TableVersion>,
    newest: Option<TableVersion>,
    changes: VecDeque<TableChange>,
}

/// The changes of all tables that anybody asked for.
pub(crate) struct ChangeLog {
    offline: Arc<dyn OfflineStore>,
    sources: Arc<dyn SourceTables>,
    tables: Mutex<HashMap<String, Known>>,
}

impl ChangeLog {
    pub fn new(offline: Arc<dyn OfflineStore>, sources: Arc<dyn SourceTables>) -> Self {
        Self {
            offline,
            sources,
            tables: Mutex::default(),
        }
    }

    /// Looks what is new and tells the newest version; none when the table does not exist yet. `since` is the oldest version from
    /// which anybody wants to know, where the table is asked for the first time.
    pub async fn refresh(
        &self,
        read: &Read,
        since: Option<TableVersion>,
    ) -> Result<Option<TableVersion>, StorageError> {
        let key = read.key();
        let known = self.tables.lock().get(&key).map(|known| known.newest);
        let mut from = match known {
            Some(newest) => newest,
            None => {
                let from = match since {
                    Some(since) => Some(since),
                    // Nobody needs what was before.
                    None => match self.newest(read).await? {
                        Some(newest) => Some(newest),
                        None => return Ok(None),
                    },
                };
                let first = Known {
                    floor: from,
                    newest: from,
                    changes: VecDeque::new(),
                };
                self.tables.lock().insert(key.clone(), first);
                from
            }
        };
        loop {
            let Some(page) = self.page(read, from).await? else {
                return Ok(from);
            };
            let mut tables = self.tables.lock();
            let known = tables.entry(key.clone()).or_default();
            let changes = match page {
                Changes::Gone { newest } => {
                    // What was in between cannot be told.
                    *known = Known {
                        floor: Some(newest),
                        newest: Some(newest),
                        changes: VecDeque::new(),
                    };
                    return Ok(Some(newest));
                }
                Changes::Listed(changes) => changes,
            };
            let is_last = changes.len() < PAGE;
            for change in changes {
                if known.newest.is_none_or(|newest| change.version > newest) {
                    known.newest = Some(change.version);
                    known.changes.push_back(change);
                }
            }
            while known.changes.len() > REMEMBERED {
                known.floor = known.changes.pop_front().map(|change| change.version);
            }
            from = known.newest;
            if is_last {
                return Ok(from);
            }
        }
    }

    async fn newest(&self, read: &Read) -> Result<Option<TableVersion>, StorageError> {
        match read {
            Read::Source { uri, .. } => match self.sources.describe(uri).await {
                Ok(table) => Ok(Some(table.version)),
                Err(SourceError::Storage(error)) => Err(error),
                Err(_) => Ok(None),
            },
            Read::Group(group) => match self.offline.version(&group.schema).await {
                Ok(version) => Ok(Some(version)),
                Err(StorageError::NotProvisioned { .. }) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    async fn page(&self, read: &Read, since: Option<TableVersion>) -> Result<Option<Changes>, StorageError> {
        match read {
            Read::Source { uri, event_time, .. } => {
                match self.sources.changes(uri, event_time.as_deref(), since, PAGE).await {
                    Ok(changes) => Ok(Some(changes)),
                    Err(SourceError::Storage(error)) => Err(error),
                    Err(_) => Ok(None),
                }
            }
            Read::Group(group) => match self.offline.changes(&group.schema, since, PAGE).await {
                Ok(changes) => Ok(Some(changes)),
                Err(StorageError::NotProvisioned { .. }) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// What the versions after `since` up to `to` brought; `since` none: the group was never computed.
    pub fn news(&self, read: &Read, since: Option<TableVersion>, to: TableVersion) -> News {
        let Some(since) = since else {
            return News::Everything;
        };
        let tables = self.tables.lock();
        let Some(known) = tables.get(&read.key()) else {
            return News::Everything;
        };
        // Behind what is known, or ahead of a table that was made anew.
        if known.floor.is_some_and(|floor| since < floor) || known.newest.is_some_and(|newest| since > newest) {
            return News::Everything;
        }
        known
            .changes
            .iter()
            .filter(|change| change.version > since && change.version <= to)
            .map(|change| match (change.kind, change.event_times) {
                (ChangeKind::RewritesFiles | ChangeKind::Metadata, _) => News::Nothing,
                (ChangeKind::AddsRows, _) if change.rows_added == Some(0) => News::Nothing,
                (ChangeKind::AddsRows, Some((from, to))) => News::Range(from, to),
                (ChangeKind::AddsRows, None) | (ChangeKind::RemovesRows, _) => News::Everything,
            })
            .fold(News::Nothing, News::and)
    }
}
