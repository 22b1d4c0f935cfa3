//! The newest row per key of every group: one table per group and generation, a row in one frozen cell that is written with the event time as its timestamp.
//!
//! So an upsert needs no read, and the database itself keeps the row that wins, in whatever order and however often rows come; `cell.rs` tells how. What
//! would break it is never used: a time to live (at equal timestamps an expiring cell beats a plain one), and deletes as tombstones (a tombstone wins every
//! tie, and once it is purged, older writes come back). A delete is a row with its flag set. Only the sweeper deletes, and only what nobody can see.

mod cell;
mod cql_type;
mod key;
mod names;
mod progress;
mod provision;
mod read;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
mod values;
mod write;

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::{GroupSchema, Timestamp};
use forebay_storage::{
    OnlineAnswer, OnlineRead, OnlineRow, OnlineStore, Progress, Provision, Result, StorageError, Swept,
};
use tokio::sync::Semaphore;

use self::{names::quoted, progress::Epochs, tables::Tables};
use crate::{
    cluster::Cluster,
    config::CassandraConfig,
    failure::{failed, is_invalid},
    leases::CassandraLeases,
};

const WHAT: &str = "online store";

pub(crate) const TABLES: &[&str] = &["CREATE TABLE IF NOT EXISTS {}.progress (
        consumer text, epoch bigint, position bigint, PRIMARY KEY (consumer, epoch)
    ) WITH CLUSTERING ORDER BY (epoch DESC)"];

/// Online rows in Cassandra or ScyllaDB.
pub struct CassandraOnlineStore {
    cluster: Arc<Cluster>,
    leases: Arc<CassandraLeases>,
    tables: Tables,
    epochs: Epochs,
    table_options: String,
    /// Reads and writes that may be under way.
    reads: Semaphore,
    writes: Semaphore,
    concurrent_reads: usize,
    concurrent_writes: usize,
    /// One change of tables at a time in this process; others wait for the lease.
    changing: tokio::sync::Mutex<()>,
}

impl CassandraOnlineStore {
    pub(crate) fn new(cluster: Arc<Cluster>, leases: Arc<CassandraLeases>, config: &CassandraConfig) -> Self {
        Self {
            cluster,
            leases,
            tables: Tables::default(),
            epochs: Epochs::default(),
            table_options: config.table_options.clone(),
            reads: Semaphore::new(config.concurrent_reads.min(Semaphore::MAX_PERMITS)),
            writes: Semaphore::new(config.concurrent_writes.min(Semaphore::MAX_PERMITS)),
            concurrent_reads: config.concurrent_reads,
            concurrent_writes: config.concurrent_writes,
            changing: tokio::sync::Mutex::default(),
        }
    }
}

#[async_trait]
impl Provision for CassandraOnlineStore {
    fn what(&self) -> &'static str {
        WHAT
    }

    async fn ensure(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        self.ensure_table(schema).await
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        self.drop_tables(schema).await
    }
}

#[async_trait]
impl OnlineStore for CassandraOnlineStore {
    async fn upsert(&self, schema: &Arc<GroupSchema>, rows: Vec<OnlineRow>, progress: Option<Progress>) -> Result<()> {
        if !rows.is_empty() {
            self.upsert_rows(schema, rows).await?;
        }
        match progress {
            Some(progress) => self.epochs.put(&self.cluster, progress).await,
            None => Ok(()),
        }
    }

    async fn progress(&self, consumer: &str) -> Result<Option<i64>> {
        self.epochs.progress(&self.cluster, consumer).await
    }

    /// What was acknowledged is durable already, as far as the cluster's settings make it.
    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    async fn read(&self, reads: &[OnlineRead], deadline: Instant, answer: &mut OnlineAnswer) {
        self.read_groups(reads, deadline, answer).await;
    }

    async fn sweep(
        &self,
        schema: &Arc<GroupSchema>,
        before: Timestamp,
        from: Option<Bytes>,
        limit: usize,
    ) -> Result<Swept> {
        self.sweep_table(schema, before, from, limit).await
    }

    async fn clear(&self, schema: &Arc<GroupSchema>, consumer: &str) -> Result<()> {
        // The progress first: a crash in between starts the rebuild again.
        self.epochs.begin(&self.cluster, consumer).await?;
        let table = quoted(&names::table(schema));
        let truncated = self
            .cluster
            .change(format!("TRUNCATE {}.{table}", self.cluster.keyspace))
            .await;
        truncated.map_err(|error| {
            if is_invalid(&error) {
                StorageError::NotProvisioned {
                    what: WHAT,
                    group: schema.name.clone(),
                }
            } else {
                failed(WHAT, error)
            }
        })
    }
}
