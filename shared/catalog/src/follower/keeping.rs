//! When the registry is asked next.

use tokio::time::Instant;

use super::{SourceError, ahead::Ahead, pace::Pace};

/// What the keeping of a catalog remembers.
pub(super) struct Keeping {
    /// When the newest fetch began or failed.
    asked_at: Instant,
    /// Fetches that failed, in a row.
    pub failures: u32,
    /// Fetches that did not bring what was heard of, in a row.
    pub futile: u32,
    /// There is something that only a snapshot brings.
    pub missed: bool,
    pub ahead: Ahead,
}

impl Keeping {
    /// After a first fetch.
    pub fn begin() -> Self {
        Self {
            asked_at: Instant::now(),
            failures: 0,
            futile: 0,
            missed: false,
            ahead: Ahead::default(),
        }
    }

    /// A fetch begins; what is missed from here on needs another one.
    pub fn fetch(&mut self) {
        self.asked_at = Instant::now();
        self.missed = false;
    }

    /// When the newest fetch began or failed.
    pub fn asked_at(&self) -> Instant {
        self.asked_at
    }

    pub fn fail(&mut self, error: &SourceError) {
        if self.failures == 0 {
            tracing::warn!(%error, "the registry cannot be asked; the services go on with what they know");
        }
        self.failures = self.failures.saturating_add(1);
        self.asked_at = Instant::now();
    }

    /// When to fetch next, with the catalog at this revision.
    pub fn due(&self, pace: Pace, revision: u64) -> Instant {
        let repeats = self.failures.max(self.futile);
        if repeats > 0 {
            return self.asked_at + pace.pause(repeats);
        }
        let look = self.asked_at + pace.look;
        let soon = self.asked_at + pace.least;
        if self.missed {
            return soon.min(look);
        }
        if self.ahead.newest() > revision {
            // Two registries may publish out of order: what is missing mostly comes at once.
            let gap = self.ahead.since().map_or(soon, |since| since + pace.gap);
            return gap.max(soon).min(look);
        }
        look
    }
}
