//! The row log with a stopwatch.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use forebay_model::{GroupSchema, LayoutNumber, Timestamp};
use forebay_telemetry::child_span;
use uuid::Uuid;

use super::operation::Operation;
use crate::{Appended, BatchId, Fetched, LogRow, Provision, Result, RowLog, Topic};

pub(super) struct Measured {
    inner: Arc<dyn RowLog>,
    backend: &'static str,
    append: Operation,
    fetch: Operation,
    bounds: Operation,
    identity: Operation,
    release: Operation,
    ensure: Operation,
    purge: Operation,
}

impl Measured {
    pub fn new(inner: Arc<dyn RowLog>, backend: &'static str) -> Self {
        let operation = |name| Operation::new(backend, name);
        Self {
            inner,
            backend,
            append: operation("log_append"),
            fetch: operation("log_fetch"),
            bounds: operation("log_bounds"),
            identity: operation("log_identity"),
            release: operation("log_release"),
            ensure: operation("log_ensure"),
            purge: operation("log_purge"),
        }
    }
}

#[async_trait]
impl Provision for Measured {
    fn what(&self) -> &'static str {
        self.inner.what()
    }

    async fn ensure(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        self.ensure.measure(self.inner.ensure(schema)).await
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        self.purge.measure(self.inner.purge(schema)).await
    }
}

#[async_trait]
impl RowLog for Measured {
    async fn append(&self, schema: &Arc<GroupSchema>, batch: BatchId, rows: Vec<LogRow>) -> Result<Vec<Appended>> {
        // The log's records carry this span, so that the sinks' spans come below it.
        let span = child_span!(
            "append rows",
            otel.name = format_args!("send {}", schema.name),
            otel.kind = "producer",
            messaging.system = self.backend,
            messaging.operation.name = "append",
            messaging.operation.type = "send",
            messaging.batch.message_count = rows.len(),
            forebay.group = %schema.name,
        );
        self.append
            .measure_in(span, self.inner.append(schema, batch, rows))
            .await
    }

    async fn fetch(
        &self,
        schema: &Arc<GroupSchema>,
        partition: u32,
        from: u64,
        max_bytes: usize,
        wait: Duration,
    ) -> Result<Fetched> {
        let fetching = self.inner.fetch(schema, partition, from, max_bytes, wait);
        self.fetch.count(fetching).await
    }

    async fn bounds(&self, schema: &Arc<GroupSchema>) -> Result<Vec<(u64, u64)>> {
        self.bounds.measure(self.inner.bounds(schema)).await
    }

    async fn offset_at(&self, schema: &Arc<GroupSchema>, partition: u32, time: Timestamp) -> Result<u64> {
        self.bounds.measure(self.inner.offset_at(schema, partition, time)).await
    }

    async fn identity(&self, schema: &Arc<GroupSchema>) -> Result<Option<Uuid>> {
        self.identity.measure(self.inner.identity(schema)).await
    }

    fn no_such_layout(&self, schema: &Arc<GroupSchema>, layout: LayoutNumber) {
        self.inner.no_such_layout(schema, layout);
    }

    fn fill(&self) -> (u64, u64) {
        self.inner.fill()
    }

    async fn release(&self, topic: Topic, partition: u32, consumer: &str, next: u64) -> Result<()> {
        self.release
            .measure(self.inner.release(topic, partition, consumer, next))
            .await
    }
}
