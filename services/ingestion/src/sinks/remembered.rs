//! How much memory of requests with an identity the sinks of this process may have together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The bound, and what is used of it: `sinks.remembered_bytes`.
#[derive(Debug)]
pub(crate) struct Remembered {
    limit: usize,
    used: AtomicUsize,
    shares: AtomicUsize,
}

/// What one sink remembers of one partition.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Remembered>,
    bytes: usize,
}

impl Remembered {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            shares: AtomicUsize::new(0),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn share(self: &Arc<Self>) -> Share {
        self.shares.fetch_add(1, Ordering::Relaxed);
        Share {
            of: self.clone(),
            bytes: 0,
        }
    }
}

impl Share {
    /// So much is in use by now.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes == self.bytes {
            return;
        }
        self.of.used.fetch_add(bytes, Ordering::Relaxed);
        self.of.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }

    /// Whether the process is above the bound, and this is one of those that have more than their part of it: what busy partitions forget leaves room for all.
    pub(crate) fn is_over(&self) -> bool {
        let shares = self.of.shares.load(Ordering::Relaxed).max(1);
        self.of.used() > self.of.limit && self.bytes > self.of.limit / shares
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.of.shares.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_more_than_his_part_forgets() {
        let remembered = Arc::new(Remembered::new(100));
        let (mut busy, mut idle) = (remembered.share(), remembered.share());
        busy.set(90);
        idle.set(10);
        assert!(!busy.is_over() && !idle.is_over());
        idle.set(20);
        assert!(busy.is_over() && !idle.is_over());
        drop(busy);
        assert_eq!(remembered.used(), 20);
        idle.set(101);
        assert!(idle.is_over(), "all of it is his part");
    }
}
