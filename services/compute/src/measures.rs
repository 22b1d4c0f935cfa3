//! What compute tells of itself in /metrics.

use forebay_api::runs::{Run, RunState, RunTask};
use forebay_model::Timestamp;
use forebay_telemetry::Metric;
use metrics::{counter, histogram};

/// The metrics of compute, besides those of its engine.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        "forebay_runs_total",
        &["state", "trigger"],
        "Runs that have come to their end",
    ),
    Metric::histogram(
        "forebay_run_duration_seconds",
        &["trigger"],
        "From the creation of a run to its end, its wait in the queue included",
    ),
    Metric::counter(
        "forebay_run_tasks_total",
        &["group", "state"],
        "Tasks that have come to their end: one group in one run",
    ),
    Metric::histogram(
        "forebay_run_task_duration_seconds",
        &["group"],
        "From the start of a task's first attempt to its end",
    ),
    Metric::counter(
        "forebay_run_task_retries_total",
        &["group"],
        "Attempts of tasks that failed and are repeated",
    ),
    Metric::counter("forebay_run_rows_total", &["group"], "Rows that runs have written"),
    Metric::gauge(
        "forebay_runs_unfinished",
        &["state"],
        "Runs that wait or are under way, in all processes together, as this one knows them",
    ),
    Metric::gauge(
        "forebay_runs_queued_limit",
        &[],
        "How many may wait: `compute.queued_runs`",
    ),
    Metric::gauge("forebay_scheduler_leader", &[], "Whether this process is the scheduler"),
    Metric::gauge(
        "forebay_schedule_lag_seconds",
        &["group"],
        "For how long a group has been due without a run for it; told by the scheduler, of groups that are due",
    ),
];

/// A run has come to its end.
pub(crate) fn ended(run: &Run) {
    let state = run.state.as_str();
    counter!("forebay_runs_total", "state" => state, "trigger" => run.trigger.clone()).increment(1);
    if let Some(finished) = run.finished_at {
        let seconds = seconds(run.created_at, finished);
        histogram!("forebay_run_duration_seconds", "trigger" => run.trigger.clone()).record(seconds);
    }
}

/// A task has come to its end.
pub(crate) fn task_ended(task: &RunTask, state: RunState, finished: Timestamp) {
    let group = || task.group.clone();
    counter!("forebay_run_tasks_total", "group" => group(), "state" => state.as_str()).increment(1);
    if let Some(started) = task.started_at {
        histogram!("forebay_run_task_duration_seconds", "group" => group()).record(seconds(started, finished));
    }
}

/// An attempt is repeated.
pub(crate) fn retried(group: &str) {
    counter!("forebay_run_task_retries_total", "group" => group.to_owned()).increment(1);
}

/// Rows of a group were written.
pub(crate) fn wrote(group: &str, rows: u64) {
    counter!("forebay_run_rows_total", "group" => group.to_owned()).increment(rows);
}

pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.micros().saturating_sub(from.micros()).max(0) as f64 / 1e6
}
