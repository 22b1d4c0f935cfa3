//! Records of a partition that wait for their acknowledgement.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How many records are under way, and since when nothing has moved.
#[derive(Debug)]
pub(crate) struct Flight {
    began: Instant,
    under_way: AtomicU64,
    /// Milliseconds after `began` at which a record was acknowledged, or the first of those under way was sent.
    moved: AtomicU64,
}

impl Default for Flight {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            under_way: AtomicU64::new(0),
            moved: AtomicU64::new(0),
        }
    }
}

impl Flight {
    pub(crate) fn sent(&self) {
        if self.under_way.fetch_add(1, Ordering::AcqRel) == 0 {
            self.moved.store(self.now(), Ordering::Release);
        }
    }

    pub(crate) fn landed(&self) {
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        self.moved.store(self.now(), Ordering::Release);
    }

    /// Whether records have been under way for so long without any of them being acknowledged.
    pub(crate) fn is_stuck(&self, patience: Duration) -> bool {
        let since = self.now().saturating_sub(self.moved.load(Ordering::Acquire));
        self.under_way.load(Ordering::Acquire) > 0 && u128::from(since) >= patience.as_millis()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_stuck_only_while_something_waits() {
        let flight = Flight::default();
        assert!(!flight.is_stuck(Duration::ZERO));
        flight.sent();
        assert!(flight.is_stuck(Duration::ZERO));
        assert!(!flight.is_stuck(Duration::from_secs(60)));
        flight.landed();
        assert!(!flight.is_stuck(Duration::ZERO));
    }
}
