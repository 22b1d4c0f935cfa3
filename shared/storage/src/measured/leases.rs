//! Leases whose losses are counted.

use std::sync::Arc;

use async_trait::async_trait;
use metrics::counter;

use super::operation::Operation;
use crate::{Lease, Leases, Result};

pub(super) struct Measured {
    inner: Arc<dyn Leases>,
    acquire: Operation,
}

impl Measured {
    pub fn new(inner: Arc<dyn Leases>, backend: &'static str) -> Self {
        Self {
            inner,
            acquire: Operation::new(backend, "leases_acquire"),
        }
    }
}

#[async_trait]
impl Leases for Measured {
    async fn acquire(&self, name: &str) -> Result<Box<dyn Lease>> {
        // What it waits for is others' work.
        let lease = self.acquire.count(self.inner.acquire(name)).await?;
        // `tables/7.0` is for the work on tables; what it is for exactly is unbounded.
        let work = name.split_once('/').map_or(name, |(work, _)| work).to_owned();
        Ok(Box::new(MeasuredLease { lease, work }))
    }
}

struct MeasuredLease {
    lease: Box<dyn Lease>,
    work: String,
}

impl Lease for MeasuredLease {
    fn is_held(&self) -> bool {
        self.lease.is_held()
    }
}

impl Drop for MeasuredLease {
    fn drop(&mut self) {
        if !self.lease.is_held() {
            counter!("forebay_leases_lost_total", "work" => std::mem::take(&mut self.work)).increment(1);
        }
    }
}
