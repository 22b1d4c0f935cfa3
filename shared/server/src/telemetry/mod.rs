//! What a process tells of itself: logs, metrics, traces.

mod config;
mod export;
mod json_lines;
mod logs;
mod process;
mod prometheus;
mod queue;
mod start;

pub use config::TelemetryConfig;
pub use logs::{LogFormat, LogsConfig, LogsError};
pub use prometheus::{Measure, start as start_metrics};
pub(crate) use prometheus::{scrape, upkeep};
pub use start::{Identity, Telemetry, TelemetryError, start as start_telemetry, start_logs};

use forebay_telemetry::Metric;

/// The metrics of every process that serves.
pub const METRICS: &[Metric] = &[
    Metric::gauge(
        "forebay_build_info",
        &["service", "version"],
        "Always 1; what runs in this process: one service or all of them",
    ),
    Metric::gauge("forebay_ready", &[], "Whether /readyz answers 200"),
    Metric::counter(
        "forebay_http_requests_total",
        &["method", "route", "service", "status"],
        "Requests that were answered",
    ),
    Metric::histogram(
        "forebay_http_request_duration_seconds",
        &["method", "route", "service"],
        "From the end of a request's headers to the start of its answer",
    ),
    Metric::counter(
        "forebay_http_problems_total",
        &["code", "method", "route", "service"],
        "Answers that are problems, by their stable code; `overloaded` and `full` are refusals under load",
    ),
    Metric::gauge(
        "forebay_http_requests_in_flight",
        &[],
        "Requests under way, to the end of their answers",
    ),
    Metric::gauge(
        "forebay_http_requests_limit",
        &[],
        "How many may be: `server.max_requests`",
    ),
    Metric::gauge("forebay_http_connections_open", &[], "Connections that are open"),
    Metric::gauge(
        "forebay_http_connections_limit",
        &[],
        "How many may be: `server.max_connections`",
    ),
    Metric::counter(
        "forebay_http_connections_refused_total",
        &[],
        "Connections over the limit, answered 503 and closed",
    ),
    Metric::counter(
        "forebay_runtime_busy_seconds_total",
        &["runtime"],
        "Time that the threads of a runtime were busy; all of them together",
    ),
    Metric::gauge("forebay_runtime_threads", &["runtime"], "Threads of a runtime"),
    Metric::counter(
        "forebay_log_events_total",
        &["level"],
        "Lines of the log at level warn or error",
    ),
    Metric::counter(
        "forebay_trace_spans_exported_total",
        &[],
        "Spans that the collector has taken",
    ),
    Metric::counter(
        "forebay_trace_spans_dropped_total",
        &["reason"],
        "Spans that were lost: the queue was full, or the collector did not take them",
    ),
    Metric::counter(
        "process_cpu_seconds_total",
        &[],
        "Processor time of the process, user and system",
    ),
    Metric::gauge("process_resident_memory_bytes", &[], "Memory of the process in RAM"),
    Metric::gauge("process_virtual_memory_bytes", &[], "Address space of the process"),
    Metric::gauge("process_open_fds", &[], "File descriptors that are open"),
    Metric::gauge("process_max_fds", &[], "How many may be"),
    Metric::gauge("process_threads", &[], "Threads of the process"),
    Metric::gauge(
        "process_start_time_seconds",
        &[],
        "When the process was started, in seconds since 1970",
    ),
];
