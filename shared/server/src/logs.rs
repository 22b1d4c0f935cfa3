//! Logs as lines of JSON on standard error.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

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

/// Sends the process's logs to standard error, panics included. To be called once.
pub fn start(config: &LogsConfig) -> Result<(), LogsError> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| LogsError::Filter {
        filter: config.filter.clone(),
        error,
    })?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Json => logs.json().flatten_event(true).with_span_list(false).try_init(),
        LogFormat::Text => logs.try_init(),
    };
    started.map_err(|_| LogsError::Taken)?;
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        tracing::error!(place, thread, "panic: {message}");
    }));
    Ok(())
}
