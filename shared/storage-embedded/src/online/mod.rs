//! The embedded online store: an overlay in memory over one LMDB table.
//!
//! Upserts go into the overlay, where readers see them at once; a thread merges it into the table in large key-sorted transactions that also hold the
//! consumers' progress. A reader looks into the overlay first and into the table afterwards, in one snapshot: a row that left the overlay in between is in
//! the table already. The rows found are compared by the winning rule, so an overlay need not know what the table holds.
//!
//! A table key is the group's id (4 bytes), the generation (2 bytes) and the encoded entity key, at most
//! [`ENCODED_KEY_LENGTH`](forebay_model::limits::ENCODED_KEY_LENGTH) bytes.

mod merge;
mod overlay;
mod table;

use std::{
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::{GroupSchema, Timestamp};
use forebay_rows::packed::RowHead;
use forebay_storage::{
    OnlineAnswer, OnlineRead, OnlineRow, OnlineStore, Progress, Provision, Result, StorageError, Swept,
};
use heed::RoTxn;

use self::{
    merge::Shared,
    table::{PREFIX, Table, corrupt, prefix, prefix_of, wins_in},
};
use crate::{directory::DirectoryLock, failure, lmdb};

const WHAT: &str = "online store";

/// Keys looked up between two looks at the deadline.
const KEYS_PER_DEADLINE_CHECK: usize = 64;

/// Bounds of the online store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlineOptions {
    /// Memory that the overlay may take; upserts wait at the bound.
    pub overlay_bytes: usize,
    /// An overlay that has grown to so many bytes is merged at once.
    pub merge_bytes: usize,
    /// A row waits no longer than this to be merged; so long a restart has to replay, about.
    pub merge_interval: Duration,
    /// Rows of one transaction of a merge. It holds the pages it touches in memory, 4 KiB for a row at worst.
    pub transaction_rows: usize,
    /// The most the table can ever hold; only what is used takes space.
    pub map_bytes: usize,
}

impl Default for OnlineOptions {
    fn default() -> Self {
        Self {
            overlay_bytes: 96 << 20,
            merge_bytes: 32 << 20,
            merge_interval: Duration::from_millis(500),
            transaction_rows: 25_000,
            map_bytes: 256 << 30,
        }
    }
}

/// The newest row per key of every group, in one data directory. Dropping it merges what is left.
pub struct EmbeddedOnlineStore {
    shared: Arc<Shared>,
    merger: Option<thread::JoinHandle<()>>,
    /// Kept until the last merge.
    _lock: Arc<DirectoryLock>,
}

impl EmbeddedOnlineStore {
    /// Opens the store in `folder`, making it if it is not there.
    pub(crate) fn open_locked(folder: &Path, options: OnlineOptions, lock: Arc<DirectoryLock>) -> Result<Self> {
        let shared = Shared::new(Table::open(folder, options.map_bytes)?, options);
        let merger = merge::start(shared.clone()).map_err(|error| failure::io(WHAT, error))?;
        Ok(Self {
            shared,
            merger: Some(merger),
            _lock: lock,
        })
    }

    /// Bytes that the overlay takes, about.
    #[must_use]
    pub fn overlay_bytes(&self) -> usize {
        self.shared.overlay.bytes()
    }

    /// Runs work that may wait for the disk on a thread for that.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Shared) -> Result<T> + Send + 'static) -> Result<T> {
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .map_err(|_| StorageError::Closed { what: WHAT })?
    }
}

impl Drop for EmbeddedOnlineStore {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(merger) = self.merger.take() {
            // It logs what it cannot do; rows that were not merged are replayed.
            let _ = merger.join();
        }
    }
}

#[async_trait]
impl Provision for EmbeddedOnlineStore {
    fn what(&self) -> &'static str {
        WHAT
    }

    async fn ensure(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        let schema = schema.clone();
        self.blocking(move |shared| shared.table.note(&schema)).await
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        let group = schema.id;
        self.blocking(move |shared| {
            let _no_merge = shared.merging.lock();
            for generation in shared.table.generations(group) {
                let prefix = prefix(group, generation);
                shared.overlay.remove(&prefix);
                shared.table.remove_rows(&prefix)?;
                shared.table.forget(&prefix)?;
            }
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl OnlineStore for EmbeddedOnlineStore {
    async fn upsert(&self, schema: &Arc<GroupSchema>, rows: Vec<OnlineRow>, progress: Option<Progress>) -> Result<()> {
        if rows.is_empty() && progress.is_none() {
            return Ok(());
        }
        self.shared.room().await?;
        if !rows.is_empty() {
            self.insert(schema, &rows).await?;
        }
        if let Some(progress) = progress {
            self.shared.progress.lock().insert(progress.consumer, progress.position);
        }
        self.shared.changed();
        Ok(())
    }

    async fn progress(&self, consumer: &str) -> Result<Option<i64>> {
        let table = &self.shared.table;
        let read = table.read()?;
        table
            .progress
            .get(&read, consumer)
            .map_err(|error| lmdb::failed(WHAT, error))
    }

    async fn flush(&self) -> Result<()> {
        self.shared.flush().await
    }

    async fn read(&self, reads: &[OnlineRead], deadline: Instant, answer: &mut OnlineAnswer) {
        let mut overlaid = Overlaid::default();
        if self.shared.overlay.bytes() > 0 {
            overlaid.look(&self.shared, reads);
        }
        // After the overlay was looked at, so that what has left it since is in the snapshot.
        let snapshot = self.shared.table.read();
        let mut first = 0;
        for read in reads {
            answer.begin();
            let outcome = match &snapshot {
                Ok(snapshot) => self.read_group(snapshot, read, &overlaid, first, deadline, answer),
                Err(error) => Err(error.clone()),
            };
            if let Err(error) = outcome {
                answer.fail(error);
            }
            first += read.len();
        }
    }

    async fn sweep(
        &self,
        schema: &Arc<GroupSchema>,
        before: Timestamp,
        from: Option<Bytes>,
        limit: usize,
    ) -> Result<Swept> {
        let known = self.shared.table.schema(schema)?;
        let prefix = prefix_of(&known);
        if from.is_none() {
            self.flush().await?;
        }
        self.blocking(move |shared| {
            let (removed, next) = shared.table.sweep(&prefix, before, from.as_deref(), limit)?;
            Ok(Swept {
                removed,
                next: next.map(Bytes::from),
            })
        })
        .await
    }

    async fn clear(&self, schema: &Arc<GroupSchema>, consumer: &str) -> Result<()> {
        let known = self.shared.table.schema(schema)?;
        let prefix = prefix_of(&known);
        let consumer = consumer.to_owned();
        self.blocking(move |shared| {
            let failed = |error| lmdb::failed(WHAT, error);
            let _no_merge = shared.merging.lock();
            // The progress first: a crash in between starts the rebuild again.
            shared.progress.lock().remove(&consumer);
            let mut write = shared.table.write()?;
            shared.table.progress.delete(&mut write, &consumer).map_err(failed)?;
            write.commit().map_err(failed)?;
            shared.overlay.remove(&prefix);
            shared.table.remove_rows(&prefix)
        })
        .await
    }
}

impl EmbeddedOnlineStore {
    /// Lays rows over the table, all of them or none.
    async fn insert(&self, schema: &Arc<GroupSchema>, rows: &[OnlineRow]) -> Result<()> {
        let known = self.shared.table.schema(schema)?;
        let newest = if known.layout < schema.layout { schema } else { &known };
        for row in rows {
            let head = RowHead::read(&row.row).map_err(corrupt)?;
            if head.layout > newest.layout {
                return Err(StorageError::NewerLayout {
                    group: schema.name.clone(),
                    found: head.layout,
                    known: newest.layout,
                });
            }
            if row.key.len() > forebay_model::limits::ENCODED_KEY_LENGTH {
                return Err(StorageError::corrupt(
                    WHAT,
                    "a key is longer than the limit; rows are checked before they come here",
                ));
            }
        }
        if known.layout < schema.layout {
            self.ensure(schema).await?;
        }
        let mut key = prefix_of(schema).to_vec();
        for row in rows {
            key.truncate(PREFIX);
            key.extend_from_slice(&row.key);
            self.shared
                .overlay
                .insert(&key, &row.row, |new, current| wins_in(newest, new, current))?;
        }
        Ok(())
    }

    fn read_group(
        &self,
        snapshot: &RoTxn<'_>,
        read: &OnlineRead,
        overlaid: &Overlaid,
        first: usize,
        deadline: Instant,
        answer: &mut OnlineAnswer,
    ) -> Result<()> {
        let table = &self.shared.table;
        let schema = table.schema(&read.schema)?;
        let mut key = prefix_of(&schema).to_vec();
        for (number, entity_key) in read.keys().enumerate() {
            if number % KEYS_PER_DEADLINE_CHECK == 0 && Instant::now() >= deadline {
                return Err(StorageError::TimedOut { what: WHAT });
            }
            key.truncate(PREFIX);
            key.extend_from_slice(entity_key);
            let stored = if entity_key.len() > forebay_model::limits::ENCODED_KEY_LENGTH {
                None
            } else {
                table
                    .rows
                    .get(snapshot, &key)
                    .map_err(|error| lmdb::failed(WHAT, error))?
            };
            let mut winner = stored;
            for row in overlaid.rows(first + number) {
                if match winner {
                    Some(winner) => wins_in(&schema, row, winner)?,
                    None => true,
                } {
                    winner = Some(row);
                }
            }
            if number == 0 {
                answer.expect(read.len(), winner.map_or(0, <[u8]>::len));
            }
            answer.push(winner);
        }
        Ok(())
    }
}

/// The rows that the overlay held for the keys of a request, copied: keys counted through all reads.
#[derive(Default)]
struct Overlaid {
    arena: Vec<u8>,
    /// Which key, and where its row ends; ascending by key. Empty when the overlay was.
    rows: Vec<(usize, usize)>,
}

impl Overlaid {
    fn look(&mut self, shared: &Shared, reads: &[OnlineRead]) {
        let mut table_key = Vec::with_capacity(64);
        let mut number = 0;
        for read in reads {
            table_key.clear();
            table_key.extend_from_slice(&prefix_of(&read.schema));
            for key in read.keys() {
                table_key.truncate(PREFIX);
                table_key.extend_from_slice(key);
                shared.overlay.get(&table_key, |row| {
                    self.arena.extend_from_slice(row);
                    self.rows.push((number, self.arena.len()));
                });
                number += 1;
            }
        }
    }

    fn rows(&self, number: usize) -> impl Iterator<Item = &[u8]> {
        let from = self.rows.partition_point(|&(key, _)| key < number);
        self.rows[from..]
            .iter()
            .take_while(move |&&(key, _)| key == number)
            .enumerate()
            .map(move |(index, &(_, end))| {
                let start = (from + index).checked_sub(1).map_or(0, |before| self.rows[before].1);
                &self.arena[start..end]
            })
    }
}
