//! What the sinks, the follower and housekeeping tell about themselves in /metrics.

use std::sync::atomic::{AtomicI64, Ordering};

use forebay_model::{GroupName, Timestamp};
use metrics::{Counter, Gauge, counter, gauge};

use crate::Store;

/// The figures of one sink of one group, over all partitions.
pub(crate) struct SinkMeasures {
    rows: Counter,
    rejected: Counter,
    errors: Counter,
    freshness: Gauge,
    lag: Gauge,
    stopped: Gauge,
    newest: AtomicI64,
}

impl SinkMeasures {
    pub(crate) fn new(group: &GroupName, store: Store) -> Self {
        let labels = [("group", group.to_string()), ("store", store.as_str().to_owned())];
        let stopped = gauge!("forebay_sink_stopped", &labels);
        stopped.set(0.0);
        Self {
            rows: counter!("forebay_sink_rows_total", &labels),
            rejected: counter!("forebay_rejected_rows_total", "group" => group.to_string()),
            errors: counter!("forebay_sink_errors_total", &labels),
            freshness: gauge!("forebay_freshness_seconds", &labels),
            lag: gauge!("forebay_sink_lag_rows", &labels),
            stopped,
            newest: AtomicI64::new(i64::MIN),
        }
    }

    /// So many rows are in the store.
    pub(crate) fn took(&self, rows: usize) {
        self.rows.increment(rows as u64);
    }

    /// So many records of the log were no rows and are set aside.
    pub(crate) fn set_aside(&self, records: usize) {
        self.rejected.increment(records as u64);
    }

    pub(crate) fn failed(&self) {
        self.errors.increment(1);
    }

    /// The sink cannot go on before somebody acts.
    pub(crate) fn stopped(&self) {
        self.stopped.set(1.0);
    }

    /// So many rows of the log are not in the store yet.
    pub(crate) fn lags(&self, rows: u64) {
        self.lag.set(rows as f64);
    }

    /// A row with this event time passed.
    pub(crate) fn saw(&self, event_time: Timestamp) {
        self.newest.fetch_max(event_time.micros(), Ordering::Relaxed);
    }

    /// How old the newest row is.
    pub(crate) fn fresh(&self, now: Timestamp) {
        let newest = self.newest.load(Ordering::Relaxed);
        if newest != i64::MIN {
            self.freshness.set(now.micros().saturating_sub(newest) as f64 / 1e6);
        }
    }
}

/// How far the follower of one group has come.
pub(crate) struct FollowerMeasures {
    pub(crate) version: Gauge,
    pub(crate) stopped: Gauge,
    pub(crate) inadmissible: Counter,
    pub(crate) rebuilds: Counter,
}

impl FollowerMeasures {
    pub(crate) fn new(group: &GroupName) -> Self {
        let labels = [("group", group.to_string())];
        Self {
            version: gauge!("forebay_follower_version", &labels),
            stopped: gauge!("forebay_follower_stopped", &labels),
            inadmissible: counter!("forebay_inadmissible_rows_total", &labels),
            rebuilds: counter!("forebay_online_rebuilds_total", &labels),
        }
    }
}
