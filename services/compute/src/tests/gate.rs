//! An engine that waits until it is let.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use forebay_model::ManualClock;
use forebay_query::{BatchQuery, Engine, EngineConfig, OfflineTables, QueryError};
use forebay_storage::{SourceError, StorageError};
use forebay_storage_delta::{DeltaStore, LakeLocations};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::{BatchEngine, Computed, Target};

/// Lets a query begin only when it is told to, and fails the first so many.
pub struct Gate {
    inner: Engine,
    pub open: Semaphore,
    pub failures: AtomicU32,
    pub started: AtomicU32,
}

impl Gate {
    pub fn new(lake: &TempDir, clock: &Arc<ManualClock>, open: usize, failures: u32) -> Arc<Self> {
        let locations = LakeLocations::new(lake.path(), &[]).unwrap();
        let tables: Arc<dyn OfflineTables> = Arc::new(DeltaStore::new(locations, clock.clone()));
        Arc::new(Self {
            inner: Engine::new(EngineConfig::new(lake.path().join("spill")), tables).unwrap(),
            open: Semaphore::new(open),
            failures: AtomicU32::new(failures),
            started: AtomicU32::new(0),
        })
    }
}

#[async_trait]
impl BatchEngine for Gate {
    async fn compute(&self, query: &BatchQuery, target: Target) -> Result<Computed, QueryError> {
        self.started.fetch_add(1, Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
        let failing = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if failing.is_ok() {
            return Err(SourceError::Storage(StorageError::TimedOut { what: "the lake" }).into());
        }
        BatchEngine::compute(&self.inner, query, target).await
    }
}
