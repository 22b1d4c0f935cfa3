use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::Result;

/// The right to be the one that works on something, such as a table. It makes work efficient, not safe: safety is in the commits. Dropping it gives it up.
pub trait Lease: Send + Sync {
    /// Whether it is still held. A networked lease can be lost; its holder must then stop and acquire it again.
    fn is_held(&self) -> bool;
}

/// Gives out leases by name, each to one holder at a time.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Waits until the lease is free and takes it. Cancel it by dropping the future.
    async fn acquire(&self, name: &str) -> Result<Box<dyn Lease>>;
}

/// Leases within one process, for installations in which nobody else can work on the same tables.
#[derive(Default)]
pub struct ProcessLeases {
    names: Arc<Names>,
}

type Names = Mutex<HashMap<String, Arc<AsyncMutex<()>>>>;

struct ProcessLease {
    guard: Option<OwnedMutexGuard<()>>,
    name: String,
    names: Arc<Names>,
}

impl Drop for ProcessLease {
    fn drop(&mut self) {
        let mut names = self.names.lock();
        self.guard = None;
        // A name that nobody waits for is forgotten: there is one for every run.
        if names.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            names.remove(&self.name);
        }
    }
}

impl Lease for ProcessLease {
    fn is_held(&self) -> bool {
        true
    }
}

#[async_trait]
impl Leases for ProcessLeases {
    async fn acquire(&self, name: &str) -> Result<Box<dyn Lease>> {
        let lock = self.names.lock().entry(name.to_owned()).or_default().clone();
        Ok(Box::new(ProcessLease {
            guard: Some(lock.lock_owned().await),
            name: name.to_owned(),
            names: Arc::clone(&self.names),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_lease_has_one_holder() {
        let leases = ProcessLeases::default();
        let first = leases.acquire("tables/1.0").await.expect("free");
        assert!(first.is_held());
        leases.acquire("tables/2.0").await.expect("another name");
        let second = leases.acquire("tables/1.0");
        tokio::pin!(second);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), &mut second)
                .await
                .is_err(),
            "it is taken"
        );
        drop(first);
        let second = second.await.expect("free again");
        assert_eq!(leases.names.lock().len(), 1);
        drop(second);
        assert!(leases.names.lock().is_empty(), "nothing is kept of what nobody holds");
    }
}
