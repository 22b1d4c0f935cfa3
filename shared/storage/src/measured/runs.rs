//! The run store with a stopwatch.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::operation::Operation;
use crate::{Result, RunStore, Saved, StoredRun};

pub(super) struct Measured {
    inner: Arc<dyn RunStore>,
    save: Operation,
    read: Operation,
    remove: Operation,
    mark: Operation,
    set_mark: Operation,
}

impl Measured {
    pub fn new(inner: Arc<dyn RunStore>, backend: &'static str) -> Self {
        let operation = |name| Operation::new(backend, name);
        Self {
            inner,
            save: operation("runs_save"),
            read: operation("runs_read"),
            remove: operation("runs_remove"),
            mark: operation("runs_mark"),
            set_mark: operation("runs_set_mark"),
        }
    }
}

#[async_trait]
impl RunStore for Measured {
    async fn save(&self, run: &StoredRun) -> Result<Saved> {
        self.save.measure(self.inner.save(run)).await
    }

    async fn get(&self, id: Uuid) -> Result<Option<StoredRun>> {
        self.read.measure(self.inner.get(id)).await
    }

    async fn list(&self, before: Option<Uuid>, limit: usize) -> Result<Vec<StoredRun>> {
        self.read.measure(self.inner.list(before, limit)).await
    }

    async fn unfinished(&self) -> Result<Vec<StoredRun>> {
        self.read.measure(self.inner.unfinished()).await
    }

    async fn remove_finished(&self, before: Uuid) -> Result<u64> {
        self.remove.measure(self.inner.remove_finished(before)).await
    }

    async fn mark(&self, name: &str) -> Result<Option<String>> {
        self.mark.measure(self.inner.mark(name)).await
    }

    async fn set_mark(&self, name: &str, value: &str) -> Result<()> {
        self.set_mark.measure(self.inner.set_mark(name, value)).await
    }
}
