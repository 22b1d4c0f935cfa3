use forebay_model::Duration;
use serde::{Deserialize, Serialize};

/// `[ingestion]`: what a request with rows may be, and how much of them is held at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntakeConfig {
    /// Bytes in a request's body.
    pub max_body_bytes: usize,
    /// Rows in a request.
    pub max_rows: usize,
    /// Bytes held for all requests under way together, bodies and decoded rows; one more is answered 429.
    pub memory_bytes: usize,
    /// How far ahead of the clock, in milliseconds, an event time may lie for its row to be waited for rather than rejected.
    pub tolerance_ms: u64,
    /// How long `wait` waits when the request does not say, in milliseconds.
    pub wait_ms: u64,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 64 << 20,
            max_rows: 500_000,
            memory_bytes: 512 << 20,
            tolerance_ms: 1_000,
            wait_ms: 10_000,
        }
    }
}

impl IntakeConfig {
    /// How far ahead of its ingest time an event time may lie for its row to be waited for.
    #[must_use]
    pub fn tolerance(&self) -> Duration {
        Duration::from_micros(
            i64::try_from(self.tolerance_ms)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000),
        )
    }
}
