//! The registry store with a stopwatch.

use std::sync::Arc;

use async_trait::async_trait;
use forebay_model::definitions::ObjectId;

use super::operation::Operation;
use crate::{Head, ManifestEntry, Published, RegistryStore, Result, StoredObject};

pub(super) struct Measured {
    inner: Arc<dyn RegistryStore>,
    head: Operation,
    write: Operation,
    publish: Operation,
    objects: Operation,
    log: Operation,
}

impl Measured {
    pub fn new(inner: Arc<dyn RegistryStore>, backend: &'static str) -> Self {
        let operation = |name| Operation::new(backend, name);
        Self {
            inner,
            head: operation("registry_head"),
            write: operation("registry_write"),
            publish: operation("registry_publish"),
            objects: operation("registry_objects"),
            log: operation("registry_log"),
        }
    }
}

#[async_trait]
impl RegistryStore for Measured {
    async fn head(&self) -> Result<Head> {
        self.head.measure(self.inner.head()).await
    }

    async fn write(&self, objects: &[StoredObject]) -> Result<()> {
        self.write.measure(self.inner.write(objects)).await
    }

    async fn publish(&self, expected: u64, head: &Head) -> Result<Published> {
        self.publish.measure(self.inner.publish(expected, head)).await
    }

    async fn objects(&self, ids: &[(ObjectId, ManifestEntry)]) -> Result<Vec<Option<StoredObject>>> {
        self.objects.measure(self.inner.objects(ids)).await
    }

    async fn log(&self, after: u64, limit: usize) -> Result<Vec<Head>> {
        self.log.measure(self.inner.log(after, limit)).await
    }
}
