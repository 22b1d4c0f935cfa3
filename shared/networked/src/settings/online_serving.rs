use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[online_serving]`: bounds of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OnlineServingLimits {
    /// Features in one request.
    pub features: usize,
    /// Entities in one request.
    pub entities: usize,
    /// Values in one answer: features times entities.
    pub values: usize,
    /// Milliseconds that the store has to answer; a group that takes longer has status ERROR.
    pub store_deadline_ms: u64,
}

impl Default for OnlineServingLimits {
    fn default() -> Self {
        Self {
            features: 2_000,
            entities: 10_000,
            values: 2_000_000,
            store_deadline_ms: 1_000,
        }
    }
}

impl OnlineServingLimits {
    #[must_use]
    pub fn store_deadline(&self) -> Duration {
        Duration::from_millis(self.store_deadline_ms)
    }
}
