//! Fetching from all partitions of a topic at once.

use std::{sync::Arc, time::Duration};

use forebay_model::GroupSchema;
use forebay_storage::{Fetched, Result, RowLog};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

/// At most one fetch of each partition under way.
pub(crate) struct Fetches {
    log: Arc<dyn RowLog>,
    pending: FuturesUnordered<BoxFuture<'static, (usize, Result<Fetched>)>>,
    busy: Vec<bool>,
}

impl Fetches {
    pub(crate) fn new(log: Arc<dyn RowLog>, partitions: usize) -> Self {
        Self {
            log,
            pending: FuturesUnordered::new(),
            busy: vec![false; partitions],
        }
    }

    /// Fetches from a partition, unless that is under way already.
    pub(crate) fn begin(
        &mut self,
        schema: &Arc<GroupSchema>,
        partition: usize,
        from: u64,
        max_bytes: usize,
        wait: Duration,
    ) {
        if std::mem::replace(&mut self.busy[partition], true) {
            return;
        }
        let (log, schema) = (self.log.clone(), schema.clone());
        let number = u32::try_from(partition).unwrap_or(u32::MAX);
        let fetch = async move { (partition, log.fetch(&schema, number, from, max_bytes, wait).await) };
        self.pending.push(fetch.boxed());
    }

    /// The next one that has come to its end; waits for ever when none is under way.
    pub(crate) async fn next(&mut self) -> (usize, Result<Fetched>) {
        match self.pending.next().await {
            Some((partition, fetched)) => {
                self.busy[partition] = false;
                (partition, fetched)
            }
            None => std::future::pending().await,
        }
    }

    /// Gives up what is under way.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        self.busy.fill(false);
    }
}
