//! What the sinks, the follower and housekeeping tell about themselves in /metrics.

use forebay_model::{GroupName, Timestamp};
use metrics::{Counter, Gauge, counter, gauge};

use crate::Store;

/// The figures of one sink of one group.
pub(crate) struct SinkMeasures {
    rows: Counter,
    errors: Counter,
    freshness: Gauge,
    lag: Gauge,
    newest: Option<Timestamp>,
}

impl SinkMeasures {
    pub(crate) fn new(group: &GroupName, store: Store) -> Self {
        let labels = [("group", group.to_string()), ("store", store.as_str().to_owned())];
        Self {
            rows: counter!("forebay_sink_rows_total", &labels),
            errors: counter!("forebay_sink_errors_total", &labels),
            freshness: gauge!("forebay_freshness_seconds", &labels),
            lag: gauge!("forebay_sink_lag_rows", &labels),
            newest: None,
        }
    }

    /// So many rows are in the store.
    pub(crate) fn took(&self, rows: usize) {
        self.rows.increment(rows as u64);
    }

    pub(crate) fn failed(&self) {
        self.errors.increment(1);
    }

    /// So many rows of the log are not in the store yet.
    pub(crate) fn lags(&self, rows: u64) {
        self.lag.set(rows as f64);
    }

    /// A row with this event time passed.
    pub(crate) fn saw(&mut self, event_time: Timestamp) {
        self.newest = self.newest.max(Some(event_time));
    }

    /// How old the newest row is.
    pub(crate) fn fresh(&self, now: Timestamp) {
        if let Some(newest) = self.newest {
            let micros = now.micros().saturating_sub(newest.micros());
            self.freshness.set(micros as f64 / 1e6);
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
