//! The log of rejected records with a stopwatch.

use std::sync::Arc;

use async_trait::async_trait;
use forebay_model::GroupName;

use super::operation::Operation;
use crate::{Rejected, RejectedId, RejectedLog, Result};

pub(super) struct Measured {
    inner: Arc<dyn RejectedLog>,
    append: Operation,
    list: Operation,
    get: Operation,
}

impl Measured {
    pub fn new(inner: Arc<dyn RejectedLog>, backend: &'static str) -> Self {
        let operation = |name| Operation::new(backend, name);
        Self {
            inner,
            append: operation("rejected_append"),
            list: operation("rejected_list"),
            get: operation("rejected_get"),
        }
    }
}

#[async_trait]
impl RejectedLog for Measured {
    async fn append(&self, rejected: Vec<Rejected>) -> Result<()> {
        self.append.measure(self.inner.append(rejected)).await
    }

    async fn list(
        &self,
        group: Option<&GroupName>,
        after: Option<RejectedId>,
        limit: usize,
    ) -> Result<(Vec<(RejectedId, Rejected)>, Option<RejectedId>)> {
        self.list.measure(self.inner.list(group, after, limit)).await
    }

    async fn get(&self, id: RejectedId) -> Result<Option<Rejected>> {
        self.get.measure(self.inner.get(id)).await
    }
}
