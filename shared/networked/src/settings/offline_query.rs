use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[offline_query]`: bounds of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OfflineQueryLimits {
    /// Features in one request.
    pub features: usize,
    /// Rows of a spine within a request.
    pub inline_rows: usize,
    /// Keys in `entities`.
    pub entities: usize,
    /// Values in a JSON answer: rows times columns. Arrow, Parquet and CSV are streamed and have no such limit.
    pub json_values: usize,
    /// Bytes of an uploaded spine.
    pub upload_bytes: usize,
    /// Rows of an uploaded spine.
    pub upload_rows: u64,
    /// Seconds for which an uploaded spine is kept.
    pub upload_seconds: u64,
    /// Queries under way at once.
    pub queries: usize,
    /// Seconds until an answer must have begun.
    pub deadline_seconds: u64,
    /// Milliseconds that a query waits for groups to settle to `known_at`.
    pub settle_ms: u64,
}

impl Default for OfflineQueryLimits {
    fn default() -> Self {
        Self {
            features: 2_000,
            inline_rows: 100_000,
            entities: 100_000,
            json_values: 2_000_000,
            upload_bytes: 1 << 30,
            upload_rows: 100_000_000,
            upload_seconds: 24 * 3600,
            queries: 16,
            deadline_seconds: 600,
            settle_ms: 2_000,
        }
    }
}

impl OfflineQueryLimits {
    #[must_use]
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_seconds)
    }

    #[must_use]
    pub fn settle(&self) -> Duration {
        Duration::from_millis(self.settle_ms)
    }
}
