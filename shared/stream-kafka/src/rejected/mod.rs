//! Rejected records: a topic with one partition, each record with the value that was rejected, and in its headers what it was and why.

mod headers;
mod scan;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use forebay_model::GroupName;
use forebay_storage::{Rejected, RejectedId, RejectedLog, Result, StorageError};
use futures::future::try_join_all;
use tokio::sync::Semaphore;

use self::scan::Scan;
use crate::{
    KafkaConfig,
    names::Names,
    sender::{MAX_SENT_BYTES, Outgoing, Sender},
    topics::TopicSpec,
};

const WHAT: &str = "rejected records";

/// The one partition, so that all records stand in the order of their rejection.
const PARTITION: u32 = 0;

/// Listings at once; each has a connection of its own.
const SCANS: usize = 4;

/// Rejected records on Kafka.
pub struct KafkaRejectedLog {
    config: Arc<KafkaConfig>,
    topic: String,
    sender: Sender,
    scans: Arc<Semaphore>,
}

/// The topic that must be there.
pub(crate) fn topic(names: &Names, config: &KafkaConfig) -> TopicSpec {
    TopicSpec {
        name: names.rejected(),
        partitions: 1,
        retention: Duration::from_secs(u64::from(config.rejected_retention_hours) * 3_600),
        max_bytes: MAX_SENT_BYTES,
    }
}

impl KafkaRejectedLog {
    pub(crate) fn new(config: Arc<KafkaConfig>, names: &Names) -> Self {
        Self {
            sender: Sender::new(WHAT, config.clone()),
            topic: names.rejected(),
            config,
            scans: Arc::new(Semaphore::new(SCANS)),
        }
    }

    /// Runs a scan on a thread for blocking work.
    async fn scan<T: Send + 'static>(&self, scan: impl FnOnce(Scan) -> Result<T> + Send + 'static) -> Result<T> {
        let closed = |_| StorageError::Closed { what: WHAT };
        let turn = self.scans.clone().acquire_owned();
        let turn = tokio::time::timeout(self.config.request_timeout(), turn)
            .await
            .map_err(|_| StorageError::Full { what: WHAT })?
            .map_err(closed)?;
        let (config, topic) = (self.config.clone(), self.topic.clone());
        let scanned = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            scan(Scan::new(&config, topic)?)
        });
        scanned.await.map_err(|_| StorageError::Closed { what: WHAT })?
    }
}

#[async_trait]
impl RejectedLog for KafkaRejectedLog {
    async fn append(&self, rejected: Vec<Rejected>) -> Result<()> {
        let mut sent = Vec::with_capacity(rejected.len());
        for rejected in &rejected {
            sent.push(self.sender.send(&Outgoing {
                topic: &self.topic,
                key: rejected.record.key.as_deref(),
                value: &rejected.record.value,
                headers: Some(headers::write(rejected)),
            })?);
        }
        try_join_all(sent).await.map(|_| ())
    }

    async fn list(
        &self,
        group: Option<&GroupName>,
        after: Option<RejectedId>,
        limit: usize,
    ) -> Result<(Vec<(RejectedId, Rejected)>, Option<RejectedId>)> {
        let group = group.cloned();
        let from = after.map_or(0, |after| after.offset + 1);
        let (records, next) = self.scan(move |scan| scan.list(group.as_ref(), from, limit)).await?;
        let id = |offset| RejectedId {
            partition: PARTITION,
            offset,
        };
        let records = records.into_iter().map(|(offset, rejected)| (id(offset), rejected));
        Ok((records.collect(), next.map(id)))
    }

    async fn get(&self, id: RejectedId) -> Result<Option<Rejected>> {
        if id.partition != PARTITION {
            return Ok(None);
        }
        self.scan(move |scan| scan.get(id.offset)).await
    }
}
