//! No group of this benchmark keeps history, so nothing is ever asked of the offline store.

use std::sync::Arc;

use async_trait::async_trait;
use forebay_model::{GroupSchema, Timestamp};
use forebay_storage::{
    Append, AppendError, Changes, Committed, Compacted, Compaction, NotesOut, OfflineStore, Provision, Result,
    Retention, RowsOut, StorageError, TableVersion, Tidied,
};

pub struct NoTables;

const CLOSED: StorageError = StorageError::Closed {
    what: "the offline store",
};

#[async_trait]
impl Provision for NoTables {
    fn what(&self) -> &'static str {
        "offline store"
    }

    async fn ensure(&self, _: &Arc<GroupSchema>) -> Result<()> {
        Err(CLOSED)
    }

    async fn purge(&self, _: &Arc<GroupSchema>) -> Result<()> {
        Err(CLOSED)
    }
}

#[async_trait]
impl OfflineStore for NoTables {
    async fn positions(&self, _: &Arc<GroupSchema>, _: u32) -> Result<Vec<u64>> {
        Err(CLOSED)
    }

    async fn version(&self, _: &Arc<GroupSchema>) -> Result<TableVersion> {
        Err(CLOSED)
    }

    async fn append(&self, _: &Arc<GroupSchema>, _: Append) -> Result<Committed, AppendError> {
        Err(CLOSED.into())
    }

    async fn committed_run(&self, _: &Arc<GroupSchema>, _: &str) -> Result<bool> {
        Err(CLOSED)
    }

    async fn changes(&self, _: &Arc<GroupSchema>, _: Option<TableVersion>, _: usize) -> Result<Changes> {
        Err(CLOSED)
    }

    async fn unknown_columns(&self, _: &Arc<GroupSchema>) -> Result<Vec<String>> {
        Err(CLOSED)
    }

    async fn added_rows(&self, _: &Arc<GroupSchema>, _: TableVersion) -> Result<Option<RowsOut>> {
        Err(CLOSED)
    }

    async fn rows(&self, _: &Arc<GroupSchema>, _: Option<TableVersion>) -> Result<(TableVersion, RowsOut)> {
        Err(CLOSED)
    }

    async fn notes(&self, _: &Arc<GroupSchema>, _: Timestamp) -> Result<NotesOut> {
        Err(CLOSED)
    }

    async fn compact(&self, _: &Arc<GroupSchema>, _: &Compaction) -> Result<Compacted> {
        Err(CLOSED)
    }

    async fn tidy(&self, _: &Arc<GroupSchema>, _: &Retention) -> Result<Tidied> {
        Err(CLOSED)
    }
}
