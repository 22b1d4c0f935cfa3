//! The online store with a stopwatch.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::{GroupSchema, Timestamp};
use forebay_telemetry::child_span;
use tracing::Instrument;

use super::operation::Operation;
use crate::{OnlineAnswer, OnlineRead, OnlineRow, OnlineStore, Progress, Provision, Result, Swept};

pub(super) struct Measured {
    inner: Arc<dyn OnlineStore>,
    backend: &'static str,
    read: Operation,
    upsert: Operation,
    progress: Operation,
    flush: Operation,
    sweep: Operation,
    clear: Operation,
    ensure: Operation,
    purge: Operation,
}

impl Measured {
    pub fn new(inner: Arc<dyn OnlineStore>, backend: &'static str) -> Self {
        let operation = |name| Operation::new(backend, name);
        Self {
            inner,
            backend,
            read: operation("online_read"),
            upsert: operation("online_upsert"),
            progress: operation("online_progress"),
            flush: operation("online_flush"),
            sweep: operation("online_sweep"),
            clear: operation("online_clear"),
            ensure: operation("online_ensure"),
            purge: operation("online_purge"),
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
impl OnlineStore for Measured {
    async fn upsert(&self, schema: &Arc<GroupSchema>, rows: Vec<OnlineRow>, progress: Option<Progress>) -> Result<()> {
        self.upsert.measure(self.inner.upsert(schema, rows, progress)).await
    }

    async fn progress(&self, consumer: &str) -> Result<Option<i64>> {
        self.progress.measure(self.inner.progress(consumer)).await
    }

    async fn flush(&self) -> Result<()> {
        self.flush.measure(self.inner.flush()).await
    }

    async fn read(&self, reads: &[OnlineRead], deadline: Instant, answer: &mut OnlineAnswer) {
        let span = child_span!(
            "backend",
            otel.name = format_args!("{} online_read", self.backend),
            otel.kind = "client",
            db.system.name = self.backend,
            db.operation.name = "online_read",
            forebay.groups = reads.len(),
            forebay.keys = reads.iter().map(OnlineRead::len).sum::<usize>(),
        );
        let began = Instant::now();
        let reading = self.inner.read(reads, deadline, answer);
        match span.is_disabled() {
            true => reading.await,
            false => reading.instrument(span.clone()).await,
        }
        self.read.took(began);
        for error in (0..reads.len()).filter_map(|read| answer.outcome(read).err()) {
            self.read.failed(&span, error);
        }
    }

    async fn sweep(
        &self,
        schema: &Arc<GroupSchema>,
        before: Timestamp,
        from: Option<Bytes>,
        limit: usize,
    ) -> Result<Swept> {
        self.sweep.measure(self.inner.sweep(schema, before, from, limit)).await
    }

    async fn clear(&self, schema: &Arc<GroupSchema>, consumer: &str) -> Result<()> {
        self.clear.measure(self.inner.clear(schema, consumer)).await
    }
}
