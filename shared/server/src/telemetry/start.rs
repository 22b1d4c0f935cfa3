//! Starts all of it, once, before anything else of the process is made.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use forebay_telemetry::TARGET;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::sync::{mpsc, oneshot};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use super::config::TelemetryConfig;
use super::export::{self, ExportError};
use super::json_lines::JsonLines;
use super::logs::{self, Counted, LogFormat, LogsConfig, LogsError};
use super::prometheus;
use super::queue::Queued;

/// What a process is to those who look at its traces.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The service that it runs, or `all`.
    pub service: &'a str,
    /// The environment that the installation is.
    pub environment: &'a str,
}

/// Logs or traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(transparent)]
    Logs(#[from] LogsError),
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// What has to be brought to its end when the process ends.
#[derive(Debug, Default)]
pub struct Telemetry {
    queue: Option<mpsc::Sender<Queued>>,
}

/// Starts logs on standard error, panics included, the metrics, and the traces. To be called once.
///
/// # Errors
/// When a setting is wrong.
pub fn start(
    telemetry: &TelemetryConfig,
    logs: &LogsConfig,
    identity: Identity<'_>,
) -> Result<Telemetry, TelemetryError> {
    prometheus::start();
    prometheus::name(identity.service);
    let mut traces = SdkTracerProvider::builder()
        // Spans are made for sampled requests only.
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(resource(telemetry, identity));
    let mut queue = None;
    if telemetry.exports() {
        let (processor, to_queue) = export::start(telemetry, resource(telemetry, identity))?;
        traces = traces.with_span_processor(processor);
        queue = Some(to_queue);
    }
    // Without anywhere to send them to, spans still give lines of the log their ids.
    let traces = tracing_opentelemetry::layer()
        .with_tracer(traces.build().tracer("forebay"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_level(false)
        .with_target(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO));
    let lines = lines(logs)?;
    tracing_subscriber::registry()
        .with(lines)
        .with(traces)
        .try_init()
        .map_err(|_| LogsError::Taken)?;
    logs::log_panics();
    Ok(Telemetry { queue })
}

impl Telemetry {
    /// Sends the spans that wait, for as long as this takes and no longer than `within`.
    pub async fn flush(&self, within: Duration) {
        let Some(queue) = &self.queue else {
            return;
        };
        let (done, flushed) = oneshot::channel();
        let flush = async {
            queue.send(Queued::Flush(done)).await.ok()?;
            flushed.await.ok()
        };
        if tokio::time::timeout(within, flush).await.is_err() {
            tracing::warn!("the last spans are lost: the collector did not take them in time");
        }
    }
}

/// Starts the logs alone, for commands that do not serve.
///
/// # Errors
/// When a setting is wrong.
pub fn start_logs(logs: &LogsConfig) -> Result<(), LogsError> {
    let lines = lines(logs)?;
    tracing_subscriber::registry()
        .with(lines)
        .try_init()
        .map_err(|_| LogsError::Taken)?;
    logs::log_panics();
    Ok(())
}

/// The lines of the log. The spans of requests are seen whatever the filter says, since they give lines their ids.
fn lines(config: &LogsConfig) -> Result<impl Layer<Registry> + Send + Sync + use<>, LogsError> {
    let filter = logs::filter(config)?;
    let of_requests = filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET);
    let lines = match config.format {
        LogFormat::Json => JsonLines::to_standard_error().boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer().with_writer(std::io::stderr).boxed(),
    };
    Ok(lines.and_then(Counted::new()).with_filter(filter.or(of_requests)))
}

/// What is said of all spans of the process; `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(telemetry: &TelemetryConfig, identity: Identity<'_>) -> Resource {
    let name = match identity.service {
        "all" => "forebay".to_owned(),
        service => format!("forebay-{service}"),
    };
    // Another one after each start.
    let instance = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
    Resource::builder()
        .with_service_name(name)
        .with_attributes([
            KeyValue::new("service.namespace", telemetry.service_namespace.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
            KeyValue::new("deployment.environment.name", identity.environment.to_owned()),
        ])
        .build()
}
