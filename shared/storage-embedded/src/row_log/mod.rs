//! The embedded stream: the write-ahead log of every group's rows.
//!
//! A folder per topic, in it segment files named after the offset of their first row. Appends to a topic that arrive together become one write and one sync;
//! the answer follows the sync. A segment is removed when every consumer has released all of its rows; a consumer counts from its first release on, so each
//! consumer of a topic announces itself before any of them goes on.

mod entry;
mod segment;
mod topic;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use forebay_model::{Generation, GroupId, GroupSchema, limits::ENCODED_KEY_LENGTH};
use forebay_rows::packed::RowHead;
use forebay_storage::{Appended, BatchId, Fetched, LogRow, Provision, Result, RowLog, StorageError, Topic};
use forebay_telemetry::TraceContext;
use parking_lot::RwLock;
use tokio::sync::oneshot;

use self::topic::{Append, DiskUse, PARTITION, TopicLog};
use crate::{directory::DirectoryLock, failure};

const WHAT: &str = "row log";

/// Bounds of the row log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLogOptions {
    /// A segment that has grown to so many bytes is followed by another. Rows are dropped segment by segment.
    pub segment_bytes: u64,
    /// Bytes on disk of all topics together. At the bound appends are refused as full until the sinks have caught up.
    pub max_bytes: u64,
    /// Bytes of one topic that may wait in memory for their turn to be written.
    pub pending_bytes: usize,
}

impl Default for RowLogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            max_bytes: 16 << 30,
            pending_bytes: 64 << 20,
        }
    }
}

/// The row log of one data directory, with one partition per topic.
pub struct EmbeddedRowLog {
    folder: PathBuf,
    options: RowLogOptions,
    disk: Arc<DiskUse>,
    topics: RwLock<HashMap<Topic, Arc<TopicLog>>>,
    /// Kept as long as the log is in use.
    _lock: Arc<DirectoryLock>,
}

impl EmbeddedRowLog {
    /// Opens the log in `folder`. A topic is read when it is first used.
    pub(crate) fn open_locked(folder: &Path, options: RowLogOptions, lock: Arc<DirectoryLock>) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| failure::io(WHAT, error))?;
        Ok(Self {
            folder: folder.to_owned(),
            options,
            disk: Arc::default(),
            topics: RwLock::default(),
            _lock: lock,
        })
    }

    /// Bytes on disk of the topics in use.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.disk.bytes()
    }

    fn topic_folder(&self, topic: Topic) -> PathBuf {
        self.folder.join(format!("{}.{}", topic.group.0, topic.generation.0))
    }

    /// The topic, opened; `None` when it was never made, unless it is to be.
    fn topic(&self, topic: Topic, create: bool) -> Result<Option<Arc<TopicLog>>> {
        if let Some(open) = self.topics.read().get(&topic) {
            return Ok(Some(open.clone()));
        }
        let folder = self.topic_folder(topic);
        let mut topics = self.topics.write();
        if let Some(open) = topics.get(&topic) {
            return Ok(Some(open.clone()));
        }
        if !create && !folder.exists() {
            return Ok(None);
        }
        let open = TopicLog::open(folder, topic.generation, self.options, self.disk.clone())?;
        Ok(Some(topics.entry(topic).or_insert(Arc::new(open)).clone()))
    }

    fn provisioned(&self, schema: &GroupSchema) -> Result<Arc<TopicLog>> {
        self.topic(Topic::of(schema), false)?
            .ok_or_else(|| StorageError::NotProvisioned {
                what: WHAT,
                group: schema.name.clone(),
            })
    }

    /// The topics on disk of a group.
    fn topics_of(&self, group: GroupId) -> Result<Vec<Topic>> {
        let io = |error| failure::io(WHAT, error);
        let mut topics = Vec::new();
        for folder in self.folder.read_dir().map_err(io)? {
            let name = folder.map_err(io)?.file_name();
            let parsed = name.to_str().and_then(|name| {
                let (id, generation) = name.split_once('.')?;
                Some((id.parse::<u32>().ok()?, generation.parse::<u16>().ok()?))
            });
            if let Some((id, generation)) = parsed
                && id == group.0
            {
                topics.push(Topic {
                    group,
                    generation: Generation(generation),
                });
            }
        }
        Ok(topics)
    }
}

#[async_trait]
impl Provision for EmbeddedRowLog {
    fn what(&self) -> &'static str {
        WHAT
    }

    async fn ensure(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        self.topic(Topic::of(schema), true).map(|_| ())
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        for topic in self.topics_of(schema.id)? {
            if let Some(open) = self.topic(topic, false)? {
                self.topics.write().remove(&topic);
                open.remove()?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl RowLog for EmbeddedRowLog {
    async fn append(&self, schema: &Arc<GroupSchema>, batch: BatchId, rows: Vec<LogRow>) -> Result<Vec<Appended>> {
        let topic = self.provisioned(schema)?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        for row in &rows {
            if row.key.len() > ENCODED_KEY_LENGTH {
                return Err(StorageError::corrupt(
                    WHAT,
                    "a key is longer than the limit; rows are checked before they come here",
                ));
            }
            RowHead::read(&row.row)
                .map_err(|error| StorageError::corrupt(WHAT, format!("a row to append: {error}")))?;
        }
        let trace = TraceContext::current();
        let entries = entry::encode(batch, &rows)
            .map_err(|_| StorageError::corrupt(WHAT, "a row to append is larger than the limit"))?;
        let bytes = entries.iter().map(entry::Entry::len).sum();
        if self.disk.bytes() + bytes as u64 > self.options.max_bytes {
            return Err(StorageError::Full { what: WHAT });
        }
        let (answer, appended) = oneshot::channel();
        let leader = topic.clone();
        topic
            .appends
            .submit(Append { entries, trace, answer }, bytes, move |appends| {
                leader.commit(appends)
            })?;
        let appended = appended.await.map_err(|_| StorageError::Closed { what: WHAT })??;
        Ok(vec![appended])
    }

    async fn fetch(
        &self,
        schema: &Arc<GroupSchema>,
        partition: u32,
        from: u64,
        max_bytes: usize,
        wait: Duration,
    ) -> Result<Fetched> {
        let topic = self.provisioned(schema)?;
        if partition != PARTITION {
            return Err(StorageError::corrupt(
                WHAT,
                format!("partition {partition} is asked for, the embedded log has one"),
            ));
        }
        topic.fetch(from, max_bytes, wait).await
    }

    async fn bounds(&self, schema: &Arc<GroupSchema>) -> Result<Vec<(u64, u64)>> {
        Ok(self
            .topic(Topic::of(schema), false)?
            .iter()
            .map(|open| open.bounds())
            .collect())
    }

    fn fill(&self) -> (u64, u64) {
        (self.disk.bytes(), self.options.max_bytes)
    }

    async fn release(&self, topic: Topic, partition: u32, consumer: &str, next: u64) -> Result<()> {
        let Some(open) = self.topic(topic, false)?.filter(|_| partition == PARTITION) else {
            return Ok(());
        };
        let consumer = consumer.to_owned();
        tokio::task::spawn_blocking(move || open.release(&consumer, next))
            .await
            .map_err(|_| StorageError::Closed { what: WHAT })?
    }
}
