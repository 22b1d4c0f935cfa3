//! What the registry tells of itself in /metrics.

use forebay_telemetry::Metric;
use metrics::counter;

/// The metrics of the registry.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        "forebay_reconciler_errors_total",
        &[],
        "Attempts to make or to remove a group's tables or topic that failed and are repeated",
    ),
    Metric::counter(
        "forebay_announcement_errors_total",
        &[],
        "Attempts to announce registry changes that failed and are repeated",
    ),
];

/// Both counters are there before anything fails.
pub(crate) fn start() {
    forebay_telemetry::describe(METRICS);
    METRICS.iter().for_each(|metric| counter!(metric.name).increment(0));
}

/// A group's tables or topic could not be made or removed.
pub(crate) fn not_reconciled() {
    counter!("forebay_reconciler_errors_total").increment(1);
}

/// Changes could not be announced.
pub(crate) fn not_announced() {
    counter!("forebay_announcement_errors_total").increment(1);
}
