//! What every process tells of its copy of the registry.

use forebay_telemetry::Metric;

/// Told by [`Catalog::measure`](crate::Catalog::measure).
pub const METRICS: &[Metric] = &[
    Metric::gauge(
        "forebay_registry_revision",
        &[],
        "The registry revision that this process knows",
    ),
    Metric::gauge(
        "forebay_registry_behind_revisions",
        &[],
        "Registry revisions that were announced here and have not come yet",
    ),
    Metric::gauge(
        "forebay_registry_answer_age_seconds",
        &[],
        "Since the registry was asked last and has answered; in processes that follow one in another process",
    ),
    Metric::gauge("forebay_groups", &[], "Groups that are registered"),
    Metric::gauge(
        "forebay_groups_not_ready",
        &[],
        "Groups whose tables or topics are not there yet, as far as this process knows",
    ),
];
