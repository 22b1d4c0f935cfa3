//! The offline store with a stopwatch.

use std::sync::Arc;

use async_trait::async_trait;
use forebay_model::{GroupSchema, Timestamp};

use super::operation::Operation;
use crate::{
    Append, AppendError, Changes, Committed, Compacted, Compaction, NotesOut, OfflineStore, Provision, Result,
    Retention, RowsOut, TableVersion, Tidied,
};

pub(super) struct Measured {
    inner: Arc<dyn OfflineStore>,
    positions: Operation,
    version: Operation,
    append: Operation,
    committed_run: Operation,
    changes: Operation,
    columns: Operation,
    rows: Operation,
    notes: Operation,
    compact: Operation,
    tidy: Operation,
    ensure: Operation,
    purge: Operation,
}

impl Measured {
    pub fn new(inner: Arc<dyn OfflineStore>, backend: &'static str) -> Self {
        let operation = |name| Operation::new(backend, name);
        Self {
            inner,
            positions: operation("offline_positions"),
            version: operation("offline_version"),
            append: operation("offline_append"),
            committed_run: operation("offline_committed_run"),
            changes: operation("offline_changes"),
            columns: operation("offline_columns"),
            rows: operation("offline_rows"),
            notes: operation("offline_notes"),
            compact: operation("offline_compact"),
            tidy: operation("offline_tidy"),
            ensure: operation("offline_ensure"),
            purge: operation("offline_purge"),
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
impl OfflineStore for Measured {
    async fn positions(&self, schema: &Arc<GroupSchema>, partitions: u32) -> Result<Vec<u64>> {
        self.positions.measure(self.inner.positions(schema, partitions)).await
    }

    async fn version(&self, schema: &Arc<GroupSchema>) -> Result<TableVersion> {
        self.version.measure(self.inner.version(schema)).await
    }

    async fn append(&self, schema: &Arc<GroupSchema>, append: Append) -> Result<Committed, AppendError> {
        self.append.measure(self.inner.append(schema, append)).await
    }

    async fn committed_run(&self, schema: &Arc<GroupSchema>, run: &str) -> Result<bool> {
        self.committed_run.measure(self.inner.committed_run(schema, run)).await
    }

    async fn changes(&self, schema: &Arc<GroupSchema>, since: Option<TableVersion>, limit: usize) -> Result<Changes> {
        self.changes.measure(self.inner.changes(schema, since, limit)).await
    }

    async fn unknown_columns(&self, schema: &Arc<GroupSchema>) -> Result<Vec<String>> {
        self.columns.measure(self.inner.unknown_columns(schema)).await
    }

    async fn added_rows(&self, schema: &Arc<GroupSchema>, version: TableVersion) -> Result<Option<RowsOut>> {
        self.rows.measure(self.inner.added_rows(schema, version)).await
    }

    async fn rows(&self, schema: &Arc<GroupSchema>, version: Option<TableVersion>) -> Result<(TableVersion, RowsOut)> {
        self.rows.measure(self.inner.rows(schema, version)).await
    }

    async fn notes(&self, schema: &Arc<GroupSchema>, since: Timestamp) -> Result<NotesOut> {
        self.notes.measure(self.inner.notes(schema, since)).await
    }

    async fn compact(&self, schema: &Arc<GroupSchema>, policy: &Compaction) -> Result<Compacted> {
        self.compact.measure(self.inner.compact(schema, policy)).await
    }

    async fn tidy(&self, schema: &Arc<GroupSchema>, retention: &Retention) -> Result<Tidied> {
        self.tidy.measure(self.inner.tidy(schema, retention)).await
    }
}
