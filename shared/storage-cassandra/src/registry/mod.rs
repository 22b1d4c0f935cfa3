//! Definitions with all their revisions, and the one head that makes them visible.
//!
//! Revisions and the parts of manifests are written first and never change. One lightweight transaction then replaces the head, a static column of the
//! partition that also holds the log of heads, and appends to the log: they share their fate, so the log has every head and nothing else.

mod manifest;

use std::sync::Arc;

use async_trait::async_trait;
use forebay_model::{Timestamp, definitions::ObjectId};
use forebay_storage::{Head, ManifestEntry, Published, RegistryStore, Result, StorageError, StoredObject};
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use self::manifest::Parts;
use crate::cluster::{Cluster, Statement};

const WHAT: &str = "registry store";

pub(crate) const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS {}.registry_objects (
        object text, revision bigint, apply_id uuid, body text, PRIMARY KEY (object, revision, apply_id)
    )",
    "CREATE TABLE IF NOT EXISTS {}.registry_parts (id blob PRIMARY KEY, content blob)",
    "CREATE TABLE IF NOT EXISTS {}.registry_heads (
        registry text, revision bigint, head bigint static,
        apply_id uuid, published_at bigint, next_group_id bigint, parts blob,
        PRIMARY KEY (registry, revision)
    ) WITH CLUSTERING ORDER BY (revision DESC)",
];

/// The partition of the head. There is one registry in a keyspace.
const REGISTRY: &str = "registry";

/// Objects and parts that are read or written at once.
const AT_ONCE: usize = 32;

const PUT_OBJECT: Statement = Statement::write(
    WHAT,
    "INSERT INTO {}.registry_objects (object, revision, apply_id, body) VALUES (?, ?, ?, ?)",
);
const OBJECT: Statement = Statement::read(
    WHAT,
    "SELECT body FROM {}.registry_objects WHERE object = ? AND revision = ? AND apply_id = ?",
);
const HEAD: Statement = Statement::serial_read(
    WHAT,
    "SELECT revision, apply_id, published_at, next_group_id, parts FROM {}.registry_heads WHERE registry = ? LIMIT 1",
);
const LOG: Statement = Statement::serial_read(
    WHAT,
    "SELECT revision, apply_id, published_at, next_group_id, parts FROM {}.registry_heads
        WHERE registry = ? AND revision > ? ORDER BY revision ASC LIMIT ?",
);
const APPLY_ID: Statement = Statement::serial_read(
    WHAT,
    "SELECT apply_id FROM {}.registry_heads WHERE registry = ? AND revision = ?",
);
const PUBLISH: Statement = Statement::transaction(
    WHAT,
    "BEGIN BATCH
        UPDATE {}.registry_heads SET head = ? WHERE registry = ? IF head = ?;
        INSERT INTO {}.registry_heads (registry, revision, apply_id, published_at, next_group_id, parts) VALUES (?, ?, ?, ?, ?, ?);
    APPLY BATCH",
);

/// The registry store in Cassandra or ScyllaDB.
pub struct CassandraRegistryStore {
    cluster: Arc<Cluster>,
    parts: Parts,
    /// Those of one process do not get into each other's way in the cluster.
    publishing: tokio::sync::Mutex<()>,
}

/// A head as its row holds it.
type HeadRow = (i64, Uuid, i64, i64, Vec<u8>);

impl CassandraRegistryStore {
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Self {
            cluster,
            parts: Parts::default(),
            publishing: tokio::sync::Mutex::default(),
        }
    }

    /// What became of a publication; `None` when it has not happened and nobody else was first.
    async fn outcome(&self, expected: u64, new: &Head) -> Result<Option<Published>> {
        // The head first: once it has moved, what the log says of our revision stands. The other way round our own transaction could come in between.
        let head = self.head().await?;
        if head.registry_revision == expected {
            return Ok(None);
        }
        let revision = signed(new.registry_revision)?;
        let published: Option<(Uuid,)> = self.cluster.row(&APPLY_ID, (REGISTRY, revision)).await?;
        Ok(Some(if published.is_some_and(|(apply_id,)| apply_id == new.apply_id) {
            Published::Done
        } else {
            Published::Moved(Box::new(head))
        }))
    }

    async fn with_manifest(&self, row: HeadRow) -> Result<Head> {
        let (revision, apply_id, published_at, next_group_id, parts) = row;
        let corrupt = |_| StorageError::corrupt(WHAT, "a head holds a negative number");
        Ok(Head {
            registry_revision: u64::try_from(revision).map_err(corrupt)?,
            apply_id,
            published_at: Timestamp::from_micros(published_at),
            manifest: self
                .parts
                .read(&self.cluster, &parts, u32::try_from(next_group_id).map_err(corrupt)?)
                .await?,
        })
    }
}

#[async_trait]
impl RegistryStore for CassandraRegistryStore {
    async fn head(&self) -> Result<Head> {
        match self.cluster.row::<HeadRow>(&HEAD, (REGISTRY,)).await? {
            Some(row) => self.with_manifest(row).await,
            None => Ok(Head::default()),
        }
    }

    async fn write(&self, objects: &[StoredObject]) -> Result<()> {
        stream::iter(0..objects.len())
            .map(|index| async move {
                let object = &objects[index];
                let (name, revision) = place(&object.id, &object.entry);
                let body = serde_json::to_string(object).map_err(corrupt)?;
                let values = (name, revision, object.entry.apply_id, body);
                self.cluster.run(&PUT_OBJECT, values).await.map(drop)
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await
    }

    async fn publish(&self, expected: u64, new: &Head) -> Result<Published> {
        let parts = self.parts.write(&self.cluster, &new.manifest).await?;
        let revision = signed(new.registry_revision)?;
        // Before the first publication there is no head.
        let before = (expected > 0).then(|| signed(expected)).transpose()?;
        let published_at = new.published_at.micros();
        let next_group_id = i64::from(new.manifest.next_group_id);
        let _alone = self.publishing.lock().await;
        let mut attempts = self.cluster.attempts(WHAT);
        loop {
            let values = (
                revision,
                REGISTRY,
                before, // the head
                REGISTRY,
                revision,
                new.apply_id,
                published_at,
                next_group_id,
                &parts, // its entry in the log
            );
            let applied = self.cluster.transact(&PUBLISH, values).await;
            if let Ok(true) = applied {
                return Ok(Published::Done);
            }
            match self.outcome(expected, new).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => attempts.again(applied).await?,
                Err(error) => attempts.again(Err::<(), _>(error)).await?,
            }
        }
    }

    async fn objects(&self, ids: &[(ObjectId, ManifestEntry)]) -> Result<Vec<Option<StoredObject>>> {
        stream::iter(0..ids.len())
            .map(|index| async move {
                let (id, entry) = &ids[index];
                let (name, revision) = place(id, entry);
                let body: Option<(String,)> = self.cluster.row(&OBJECT, (name, revision, entry.apply_id)).await?;
                body.map(|(body,)| serde_json::from_str(&body).map_err(corrupt))
                    .transpose()
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn log(&self, after: u64, limit: usize) -> Result<Vec<Head>> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let rows: Vec<HeadRow> = self.cluster.rows(&LOG, (REGISTRY, signed(after)?, limit)).await?;
        stream::iter(rows)
            .map(|row| self.with_manifest(row))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }
}

fn place(id: &ObjectId, entry: &ManifestEntry) -> (String, i64) {
    // Revisions count from one; none comes near the end.
    (id.to_string(), i64::try_from(entry.revision).unwrap_or(i64::MAX))
}

fn signed(revision: u64) -> Result<i64> {
    i64::try_from(revision).map_err(corrupt)
}

fn corrupt(error: impl std::fmt::Display) -> StorageError {
    StorageError::corrupt(WHAT, error.to_string())
}
