//! OTLP over HTTP, with a client and a thread of its own: traces neither wait for requests nor requests for them.

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::sync::mpsc;
use url::Url;

use super::config::TelemetryConfig;
use super::queue::{QueueSpans, Queued, send};

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(
        "telemetry.otlp_endpoint {endpoint:?} is no URL of a collector: {reason}; write something like http://collector:4318"
    )]
    Endpoint { endpoint: String, reason: String },
    #[error("spans cannot be sent: {0}")]
    Exporter(#[from] ExporterBuildError),
    #[error("the client that sends spans cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    #[error("the thread that sends spans cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Starts the thread that sends spans; the queue is its only reference, and it ends with it.
pub(super) fn start(
    config: &TelemetryConfig,
    resource: Resource,
) -> Result<(QueueSpans, mpsc::Sender<Queued>), ExportError> {
    let endpoint = traces_url(&config.otlp_endpoint)?;
    let client = reqwest::Client::builder().timeout(config.export_timeout).build()?;
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client(client))
        .with_endpoint(endpoint)
        .with_timeout(config.export_timeout)
        .build()?;
    let (queue, spans) = mpsc::channel(config.queue_spans.max(1));
    let config = config.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    exporter.set_resource(&resource);
    std::thread::Builder::new()
        .name("forebay-traces".to_owned())
        .spawn(move || runtime.block_on(send(spans, exporter, config)))?;
    Ok((QueueSpans::new(queue.clone()), queue))
}

/// The path of traces below a collector's base URL.
fn traces_url(endpoint: &str) -> Result<String, ExportError> {
    let wrong = |reason: String| ExportError::Endpoint {
        endpoint: endpoint.to_owned(),
        reason,
    };
    let url = Url::parse(endpoint).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("its scheme is {}, not http or https", url.scheme())));
    }
    let base = endpoint.trim_end_matches('/');
    Ok(match base.ends_with("/v1/traces") {
        true => base.to_owned(),
        false => format!("{base}/v1/traces"),
    })
}

#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.execute(request.try_into()?).await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = answer.headers().clone();
        }
        Ok(response.body(answer.bytes().await?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_base_urls() {
        for (endpoint, url) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("http://collector:4318/", "http://collector:4318/v1/traces"),
            ("https://collector/otlp", "https://collector/otlp/v1/traces"),
            ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
        ] {
            assert_eq!(traces_url(endpoint).expect("a URL"), url);
        }
        for wrong in ["collector:4318", "grpc://collector:4317", "http://"] {
            let error = traces_url(wrong).expect_err("no URL").to_string();
            assert!(
                error.contains(wrong) && error.contains("http://collector:4318"),
                "{error}"
            );
        }
    }
}
