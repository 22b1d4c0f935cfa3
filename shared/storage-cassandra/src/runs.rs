//! Runs by id, and lists of them by day: a run's row is the truth, the lists are written before it and looked up in it.

use std::sync::Arc;

use async_trait::async_trait;
use forebay_storage::{Result, RunStore, Saved, StorageError, StoredRun};
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use crate::cluster::{Cluster, Statement};

const WHAT: &str = "run store";

pub(crate) const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS {}.runs (
        id uuid PRIMARY KEY, version bigint, save_id uuid, finished boolean, content text
    )",
    "CREATE TABLE IF NOT EXISTS {}.runs_by_day (day bigint, id text, PRIMARY KEY (day, id))
        WITH CLUSTERING ORDER BY (id DESC)",
    "CREATE TABLE IF NOT EXISTS {}.run_days (shelf text, day bigint, PRIMARY KEY (shelf, day))
        WITH CLUSTERING ORDER BY (day DESC)",
    // What is finished leaves a tombstone behind. One that is lost brings an entry back, which the run's own row then puts right, so they need not stay.
    "CREATE TABLE IF NOT EXISTS {}.runs_unfinished (shelf text, id text, PRIMARY KEY (shelf, id))
        WITH gc_grace_seconds = 3600",
    "CREATE TABLE IF NOT EXISTS {}.marks (name text PRIMARY KEY, value text)",
];

/// The partition of small lists.
const SHELF: &str = "runs";

/// Runs that are read at once, and ids of a page of a list.
const AT_ONCE: usize = 32;
const PAGE: usize = 1_000;

const GET: Statement = Statement::serial_read(
    WHAT,
    "SELECT id, version, save_id, finished, content FROM {}.runs WHERE id = ?",
);
const CREATE: Statement = Statement::transaction(
    WHAT,
    "INSERT INTO {}.runs (id, version, save_id, finished, content) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS",
);
const SAVE: Statement = Statement::transaction(
    WHAT,
    "UPDATE {}.runs SET version = ?, save_id = ?, finished = ?, content = ? WHERE id = ? IF version = ?",
);
const REMOVE: Statement = Statement::transaction(WHAT, "DELETE FROM {}.runs WHERE id = ? IF finished = true");
const LIST_DAY: Statement = Statement::write(WHAT, "INSERT INTO {}.run_days (shelf, day) VALUES (?, ?)");
const UNLIST_DAY: Statement = Statement::write(WHAT, "DELETE FROM {}.run_days WHERE shelf = ? AND day = ?");
const DAYS: Statement = Statement::read(WHAT, "SELECT day FROM {}.run_days WHERE shelf = ? AND day <= ?");
const LIST: Statement = Statement::write(WHAT, "INSERT INTO {}.runs_by_day (day, id) VALUES (?, ?)");
const UNLIST: Statement = Statement::write(WHAT, "DELETE FROM {}.runs_by_day WHERE day = ? AND id = ?");
const LISTED: Statement = Statement::read(WHAT, "SELECT id FROM {}.runs_by_day WHERE day = ? AND id < ? LIMIT ?");
const UNFINISHED: Statement = Statement::read(WHAT, "SELECT id FROM {}.runs_unfinished WHERE shelf = ?");
// With the version as the timestamp the entry of a later version survives the end of an earlier one, in whatever order they come.
const BEGUN: Statement = Statement::write(
    WHAT,
    "INSERT INTO {}.runs_unfinished (shelf, id) VALUES (?, ?) USING TIMESTAMP ?",
);
const ENDED: Statement = Statement::write(
    WHAT,
    "DELETE FROM {}.runs_unfinished USING TIMESTAMP ? WHERE shelf = ? AND id = ?",
);
const MARK: Statement = Statement::serial_read(WHAT, "SELECT value FROM {}.marks WHERE name = ?");
const MAKE_MARK: Statement =
    Statement::transaction(WHAT, "INSERT INTO {}.marks (name, value) VALUES (?, ?) IF NOT EXISTS");
const SET_MARK: Statement = Statement::transaction(WHAT, "UPDATE {}.marks SET value = ? WHERE name = ? IF value = ?");

/// Runs and marks in Cassandra or ScyllaDB.
pub struct CassandraRunStore {
    cluster: Arc<Cluster>,
}

/// Id, version, save, finished, content.
type Row = (Uuid, i64, Uuid, bool, String);

impl CassandraRunStore {
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster }
    }

    async fn row(&self, id: Uuid) -> Result<Option<Row>> {
        self.cluster.row(&GET, (id,)).await
    }

    async fn get_all(&self, ids: Vec<Uuid>) -> Result<Vec<StoredRun>> {
        let runs: Vec<_> = stream::iter(ids)
            .map(|id| self.get(id))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(runs.into_iter().flatten().collect())
    }

    /// Removes a run of a list, if it is finished: how many were removed, and how many stay.
    async fn remove(&self, day: i64, id: String) -> Result<(u64, u64)> {
        let run = parse(&id)?;
        if self.get(run).await?.is_some_and(|run| !run.finished) {
            return Ok((0, 1));
        }
        let removed = self.cluster.transact(&REMOVE, (run,)).await?;
        self.cluster.run(&UNLIST, (day, id)).await?;
        Ok((u64::from(removed), 0))
    }

    /// Days that have runs created before `before`, newest first.
    async fn days(&self, before: Uuid) -> Result<Vec<i64>> {
        let days: Vec<(i64,)> = self.cluster.rows(&DAYS, (SHELF, day(before))).await?;
        Ok(days.into_iter().map(|(day,)| day).collect())
    }

    /// The ids before `before` of a day, newest first.
    async fn listed(&self, day: i64, before: &str, limit: usize) -> Result<Vec<String>> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let ids: Vec<(String,)> = self.cluster.rows(&LISTED, (day, before, limit)).await?;
        Ok(ids.into_iter().map(|(id,)| id).collect())
    }
}

/// After all ids.
const LAST: Uuid = Uuid::max();

/// Days since 1970 of a run's creation: a UUID of version 7 begins with milliseconds.
fn day(id: Uuid) -> i64 {
    let milliseconds = id.as_u128() >> 80;
    // 48 bits.
    (milliseconds / 86_400_000) as i64
}

fn parse(id: &str) -> Result<Uuid> {
    id.parse()
        .map_err(|_| StorageError::corrupt(WHAT, format!("`{id}` is no run's id")))
}

fn signed(version: u64) -> Result<i64> {
    i64::try_from(version).map_err(|_| StorageError::corrupt(WHAT, "a version is out of range"))
}

#[async_trait]
impl RunStore for CassandraRunStore {
    async fn save(&self, run: &StoredRun) -> Result<Saved> {
        let version = signed(run.version)?;
        let id = run.id.to_string();
        if version == 1 {
            self.cluster.run(&LIST_DAY, (SHELF, day(run.id))).await?;
            self.cluster.run(&LIST, (day(run.id), &id)).await?;
        }
        if !run.finished {
            self.cluster.run(&BEGUN, (SHELF, &id, version)).await?;
        }
        let save = Uuid::new_v4();
        let mut attempts = self.cluster.attempts(WHAT);
        loop {
            let applied = if version == 1 {
                let values = (run.id, version, save, run.finished, &run.content);
                self.cluster.transact(&CREATE, values).await
            } else {
                let values = (version, save, run.finished, &run.content, run.id, version - 1);
                self.cluster.transact(&SAVE, values).await
            };
            if let Ok(true) = applied {
                break;
            }
            let stored = match self.row(run.id).await {
                Ok(stored) => stored,
                Err(error) => {
                    attempts.again(Err::<(), _>(error)).await?;
                    continue;
                }
            };
            let (stored, by) = stored.map_or((0, Uuid::nil()), |(_, version, save, ..)| (version, save));
            if stored == version && by == save {
                break;
            }
            if stored != version - 1 {
                return Ok(Saved::Conflict);
            }
            attempts.again(applied).await?;
        }
        if run.finished {
            self.cluster.run(&ENDED, (version, SHELF, &id)).await?;
        }
        Ok(Saved::Done)
    }

    async fn get(&self, id: Uuid) -> Result<Option<StoredRun>> {
        let Some((id, version, _, finished, content)) = self.row(id).await? else {
            return Ok(None);
        };
        Ok(Some(StoredRun {
            id,
            version: u64::try_from(version).map_err(|_| StorageError::corrupt(WHAT, "a version is negative"))?,
            finished,
            content,
        }))
    }

    async fn list(&self, before: Option<Uuid>, limit: usize) -> Result<Vec<StoredRun>> {
        let before = before.unwrap_or(LAST);
        let mut runs = Vec::new();
        for day in self.days(before).await? {
            let mut before = before.to_string();
            while runs.len() < limit {
                let wanted = (limit - runs.len()).min(PAGE);
                let ids = self.listed(day, &before, wanted).await?;
                let Some(last) = ids.last() else { break };
                before.clone_from(last);
                let ids = ids.iter().map(|id| parse(id)).collect::<Result<_>>()?;
                // Some may never have been created, or are removed: those have no row.
                runs.extend(self.get_all(ids).await?);
            }
            if runs.len() >= limit {
                break;
            }
        }
        Ok(runs)
    }

    async fn unfinished(&self) -> Result<Vec<StoredRun>> {
        let ids: Vec<(String,)> = self.cluster.rows(&UNFINISHED, (SHELF,)).await?;
        let ids = ids.iter().map(|(id,)| parse(id)).collect::<Result<_>>()?;
        let runs = self.get_all(ids).await?;
        let (finished, unfinished): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.finished);
        for run in finished {
            // Somebody was stopped between the end of a run and the end of its entry.
            let id = run.id.to_string();
            self.cluster.run(&ENDED, (signed(run.version)?, SHELF, &id)).await?;
        }
        Ok(unfinished)
    }

    async fn remove_finished(&self, before: Uuid) -> Result<u64> {
        let mut removed = 0;
        for day_of in self.days(before).await? {
            let mut last = before.to_string();
            let mut left = 0;
            loop {
                let ids = self.listed(day_of, &last, PAGE).await?;
                let Some(end) = ids.last() else { break };
                last.clone_from(end);
                let outcomes: Vec<(u64, u64)> = stream::iter(ids)
                    .map(|id| self.remove(day_of, id))
                    .buffer_unordered(AT_ONCE)
                    .try_collect()
                    .await?;
                removed += outcomes.iter().map(|(removed, _)| removed).sum::<u64>();
                left += outcomes.iter().map(|(_, left)| left).sum::<u64>();
            }
            if left == 0 && day_of < day(before) {
                self.cluster.run(&UNLIST_DAY, (SHELF, day_of)).await?;
            }
        }
        Ok(removed)
    }

    async fn mark(&self, name: &str) -> Result<Option<String>> {
        let mark: Option<(Option<String>,)> = self.cluster.row(&MARK, (name,)).await?;
        Ok(mark.and_then(|(value,)| value))
    }

    /// A transaction, so that a mark that is put later wins whatever the clocks of those who put them say.
    async fn set_mark(&self, name: &str, value: &str) -> Result<()> {
        let mut attempts = self.cluster.attempts(WHAT);
        loop {
            let applied = match self.mark(name).await? {
                Some(before) if before == value => return Ok(()),
                Some(before) => self.cluster.transact(&SET_MARK, (value, name, before)).await,
                None => self.cluster.transact(&MAKE_MARK, (name, value)).await,
            };
            if let Ok(true) = applied {
                return Ok(());
            }
            attempts.again(applied).await?;
        }
    }
}
