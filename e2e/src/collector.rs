//! A collector of traces: it takes OTLP over HTTP, as any other, and keeps what it was sent.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message;

/// A span as it was sent.
#[derive(Clone, Debug)]
pub struct Span {
    /// The resource's `service.name`.
    pub service: String,
    pub name: String,
    /// In hexadecimal digits, as logs have it.
    pub trace_id: String,
    pub span_id: String,
    pub parent_id: String,
    /// As in the protocol: 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub attributes: Vec<(String, String)>,
}

impl Span {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// A collector, until it is dropped.
#[derive(Debug)]
pub struct Collector {
    pub endpoint: String,
    spans: Spans,
    server: tokio::task::JoinHandle<()>,
}

impl Collector {
    /// On a free port of 127.0.0.1. To be called within a runtime, which it lives in.
    pub async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST).await
    }

    /// The same at another address of this machine.
    pub async fn start_at(address: Ipv4Addr) -> Self {
        let spans = Spans::default();
        let app = Router::new().route("/v1/traces", post(take)).with_state(spans.clone());
        let listener = tokio::net::TcpListener::bind((address, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Collector {
            endpoint: format!("http://{address}"),
            spans,
            server,
        }
    }

    /// All that came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those of one trace.
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace_id == trace_id);
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(spans): State<Spans>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|found| found != "application/x-protobuf")
    {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut known = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for of_resource in request.resource_spans {
        let resource = of_resource
            .resource
            .map(|resource| texts(resource.attributes))
            .unwrap_or_default();
        let service = resource.into_iter().find(|(name, _)| name == "service.name");
        let service = service.map(|(_, name)| name).unwrap_or_default();
        let sent = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        known.extend(sent.map(|span| {
            Span {
                service: service.clone(),
                name: span.name,
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent_id: hex(&span.parent_span_id),
                kind: span.kind,
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                attributes: texts(span.attributes)
                    .into_iter()
                    .chain(span.events.into_iter().flat_map(|event| texts(event.attributes)))
                    .collect(),
            }
        }));
    }
    StatusCode::OK
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |attribute: KeyValue| {
        let value = match attribute.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            other => format!("{other:?}"),
        };
        (attribute.key, value)
    };
    attributes.into_iter().map(text).collect()
}
