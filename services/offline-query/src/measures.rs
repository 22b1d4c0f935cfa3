//! What offline-query tells of itself in /metrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use forebay_telemetry::Metric;
use metrics::{Counter, Histogram, counter, gauge, histogram};

/// The metrics of offline-query, besides those of its engine.
pub const METRICS: &[Metric] = &[
    Metric::gauge(
        "forebay_historical_queries_in_flight",
        &[],
        "Historical queries under way, to the end of their answers",
    ),
    Metric::gauge(
        "forebay_historical_queries_limit",
        &[],
        "How many may be: `offline_query.queries`; one more is answered 429",
    ),
    Metric::counter(
        "forebay_historical_queries_total",
        &["outcome"],
        "Historical queries: done, failed, or cancelled by callers who went away",
    ),
    Metric::histogram(
        "forebay_historical_query_duration_seconds",
        &[],
        "From a request to the end of its answer",
    ),
    Metric::counter("forebay_historical_rows_total", &[], "Rows of answers"),
];

/// Kept for all queries.
pub(crate) struct Measures {
    in_flight: AtomicI64,
    seconds: Histogram,
    rows: Counter,
    done: Counter,
    failed: Counter,
    cancelled: Counter,
}

impl Measures {
    pub(crate) fn new() -> Arc<Self> {
        forebay_telemetry::describe(METRICS);
        let outcome = |outcome| counter!("forebay_historical_queries_total", "outcome" => outcome);
        Arc::new(Self {
            in_flight: AtomicI64::new(0),
            seconds: histogram!("forebay_historical_query_duration_seconds"),
            rows: counter!("forebay_historical_rows_total"),
            done: outcome("done"),
            failed: outcome("failed"),
            cancelled: outcome("cancelled"),
        })
    }

    /// Tells the gauges.
    pub(crate) fn measure(&self, limit: usize) {
        gauge!("forebay_historical_queries_in_flight").set(self.in_flight.load(Ordering::Relaxed) as f64);
        gauge!("forebay_historical_queries_limit").set(limit as f64);
    }

    /// A query begins. It has been cancelled unless something else is told before it is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Query {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Query {
            measures: Arc::clone(self),
            began: Instant::now(),
            outcome: None,
        }
    }
}

/// A query under way.
pub(crate) struct Query {
    measures: Arc<Measures>,
    began: Instant,
    /// Whether it was answered to its end.
    outcome: Option<bool>,
}

impl Query {
    /// So many rows of the answer are written.
    pub(crate) fn wrote(&self, rows: usize) {
        self.measures.rows.increment(rows as u64);
    }

    pub(crate) fn done(mut self) {
        self.outcome = Some(true);
    }

    pub(crate) fn failed(mut self) {
        self.outcome = Some(false);
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        let Measures {
            in_flight,
            seconds,
            done,
            failed,
            cancelled,
            ..
        } = &*self.measures;
        in_flight.fetch_sub(1, Ordering::Relaxed);
        seconds.record(self.began.elapsed().as_secs_f64());
        match self.outcome {
            Some(true) => done.increment(1),
            Some(false) => failed.increment(1),
            None => cancelled.increment(1),
        }
    }
}
