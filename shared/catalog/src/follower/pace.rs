//! How often the registry is asked.

use std::time::Duration;

/// Times of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The registry is looked at this often although nothing was announced.
    pub look: Duration,
    /// A revision that does not follow is waited for this long before a snapshot is fetched.
    pub gap: Duration,
    /// Between two fetches, however many ask for them.
    pub least: Duration,
    /// Of one fetch.
    pub deadline: Duration,
    /// After a fetch that failed; each failure more doubles it, up to `look`.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(10),
            gap: Duration::from_millis(250),
            least: Duration::from_millis(100),
            deadline: Duration::from_secs(20),
            retry: Duration::from_millis(250),
        }
    }
}

impl Pace {
    /// After so many failures in a row.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        let doubled = 1_u32 << failures.saturating_sub(1).min(16);
        self.retry.saturating_mul(doubled).min(self.look)
    }
}
