//! What online-serving tells of itself in /metrics.

use forebay_model::GroupName;
use forebay_storage::OnlineAnswer;
use forebay_telemetry::Metric;
use metrics::{Counter, counter};

/// The metrics of online-serving.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        "forebay_online_keys_total",
        &["group"],
        "Keys that were looked up, each once for a request",
    ),
    Metric::counter(
        "forebay_online_missing_keys_total",
        &["group"],
        "Keys for which there is no row in the store",
    ),
    Metric::counter(
        "forebay_online_group_errors_total",
        &["group"],
        "Requests in which a group had status ERROR",
    ),
];

/// What is counted of one group, resolved when a plan is compiled.
pub struct GroupMeasures {
    keys: Counter,
    missing: Counter,
    pub errors: Counter,
}

impl std::fmt::Debug for GroupMeasures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupMeasures").finish_non_exhaustive()
    }
}

impl GroupMeasures {
    pub fn new(group: &GroupName) -> Self {
        let counter = |name| counter!(name, "group" => group.to_string());
        Self {
            keys: counter("forebay_online_keys_total"),
            missing: counter("forebay_online_missing_keys_total"),
            errors: counter("forebay_online_group_errors_total"),
        }
    }

    /// Counts what the store answered to the `read`th read, of so many keys.
    pub fn answered(&self, answer: &OnlineAnswer, read: usize, keys: usize) {
        self.keys.increment(keys as u64);
        if answer.outcome(read).is_ok() {
            let missing = (0..keys).filter(|key| matches!(answer.row(read, *key), Ok(None)));
            self.missing.increment(missing.count() as u64);
        }
    }
}
