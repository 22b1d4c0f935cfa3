//! `[telemetry]`: where traces go.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration_text;

/// Where spans of sampled requests are sent. Which requests are sampled: `[server] trace_every`, and those whose caller samples them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// The base URL of a collector that takes OTLP over HTTP, such as `http://collector:4318`; empty: spans are sent nowhere.
    pub otlp_endpoint: String,
    /// The resource attribute `service.namespace` of all spans.
    pub service_namespace: String,
    /// How long one sending may take; then its spans are dropped.
    #[serde(with = "duration_text")]
    pub export_timeout: Duration,
    /// Spans are sent after this time at the latest.
    #[serde(with = "duration_text")]
    pub export_interval: Duration,
    /// Spans that are sent at once.
    pub batch_spans: usize,
    /// Spans that wait for being sent; one more is dropped.
    pub queue_spans: usize,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        TelemetryConfig {
            otlp_endpoint: String::new(),
            service_namespace: "forebay".to_owned(),
            export_timeout: Duration::from_secs(5),
            export_interval: Duration::from_secs(2),
            batch_spans: 512,
            queue_spans: 4096,
        }
    }
}

impl TelemetryConfig {
    /// Whether spans are sent anywhere.
    pub fn exports(&self) -> bool {
        !self.otlp_endpoint.is_empty()
    }
}
