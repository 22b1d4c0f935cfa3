//! The process's Prometheus registry.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;

use tokio::runtime::RuntimeMetrics;

use super::{METRICS, process};

/// Upper bounds of the buckets of every `_seconds` histogram: from 100 µs to a minute.
const SECONDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0,
];

/// The same for what may take hours.
const LONG_SECONDS: [f64; 14] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 10_800.0, 43_200.0,
];

/// Histograms of it.
const LONG: [&str; 3] = [
    "forebay_historical_query_duration_seconds",
    "forebay_run_duration_seconds",
    "forebay_run_task_duration_seconds",
];

/// A gauge that was not told for so long is forgotten at a scrape. Whoever has something to tell does so at every scrape.
const FORGOTTEN: Duration = Duration::from_secs(10);

static SERVICE: OnceLock<String> = OnceLock::new();
static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Tells gauges, at each scrape.
pub type Measure = Arc<dyn Fn() + Send + Sync>;

/// Makes the `metrics` crate record from here on. It can be called again; handles made before the first call record
/// nothing, so call it before services are built.
pub fn start() {
    HANDLE.get_or_init(|| {
        let mut builder = PrometheusBuilder::new()
            .set_buckets(&SECONDS)
            .ok()?
            .idle_timeout(MetricKindMask::GAUGE, Some(FORGOTTEN));
        for name in LONG {
            let name = Matcher::Full(name.to_owned());
            builder = builder.set_buckets_for_metric(name, &LONG_SECONDS).ok()?;
        }
        let handle = builder.install_recorder().ok();
        forebay_telemetry::describe(METRICS);
        handle
    });
}

/// Names what runs in this process: one service, or `all`.
pub(super) fn name(service: &str) {
    SERVICE.get_or_init(|| service.to_owned());
}

/// What /metrics answers, in Prometheus' text format: gauges are told now, by these.
pub(crate) fn scrape(measures: &[Measure], runtimes: &[(&str, RuntimeMetrics)]) -> String {
    let service = SERVICE.get().map_or("all", String::as_str);
    metrics::gauge!("forebay_build_info", "service" => service, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    for measure in measures {
        measure();
    }
    let handle = HANDLE.get().and_then(Option::as_ref);
    let mut text = handle.map(PrometheusHandle::render).unwrap_or_default();
    process::of_runtimes(&mut text, runtimes);
    process::of_process(&mut text);
    text
}

/// Moves recorded samples into their buckets; without it they pile up until somebody asks for /metrics.
pub(crate) fn upkeep() {
    if let Some(handle) = HANDLE.get().and_then(Option::as_ref) {
        handle.run_upkeep();
    }
}
