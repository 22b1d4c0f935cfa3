//! Logs as lines of JSON on standard error.

use metrics::Counter;
use serde::{Deserialize, Serialize};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::{EnvFilter, Layer};

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogsConfig {
    /// Levels by target, as in `info` or `warn,forebay=info,forebay_compute=debug`.
    pub filter: String,
    /// Lines of JSON, or of text for people.
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

impl Default for LogsConfig {
    fn default() -> Self {
        LogsConfig {
            filter: "warn,forebay=info,deltalake_core=error,buoyant_kernel=off".to_owned(),
            format: LogFormat::Json,
        }
    }
}

/// Logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter does not parse.
    #[error("logs.filter {filter:?} is wrong: {error}; write a level such as info, or info,forebay_compute=debug")]
    Filter {
        /// The filter as configured.
        filter: String,
        /// What is wrong with it.
        error: tracing_subscriber::filter::ParseError,
    },
    /// Something else in the process has set up logs.
    #[error("logs are set up already")]
    Taken,
}

/// The filter as configured.
pub(super) fn filter(config: &LogsConfig) -> Result<EnvFilter, LogsError> {
    EnvFilter::try_new(&config.filter).map_err(|error| LogsError::Filter {
        filter: config.filter.clone(),
        error,
    })
}

/// Panics go to the log as well.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        tracing::error!(place, thread, "panic: {message}");
    }));
}

/// Counts the lines that somebody should look at.
pub(super) struct Counted {
    warnings: Counter,
    errors: Counter,
}

impl Counted {
    pub fn new() -> Self {
        let counter = |level| metrics::counter!("forebay_log_events_total", "level" => level);
        Counted {
            warnings: counter("warn"),
            errors: counter("error"),
        }
    }
}

impl<S: Subscriber> Layer<S> for Counted {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        match *event.metadata().level() {
            Level::WARN => self.warnings.increment(1),
            Level::ERROR => self.errors.increment(1),
            _ => {}
        }
    }
}
