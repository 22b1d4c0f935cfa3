//! Lines of JSON with the ids of the trace and the request that they belong to.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::sync::OnceLock;

use forebay_telemetry::TARGET;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Where lines go.
pub(super) type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Writes each event as one line: `timestamp`, `level`, the event's own fields, `target`, and for what happens within a sampled request `trace_id`,
/// `span_id` and `request_id`.
pub(super) struct JsonLines {
    sink: Sink,
    /// The subscriber that this is a layer of; it knows the spans' ids.
    dispatch: OnceLock<tracing::dispatcher::WeakDispatch>,
}

/// The request that a span is of, kept with the span.
struct RequestId(String);

impl JsonLines {
    pub fn to_standard_error() -> Self {
        JsonLines::new(Box::new(|line| {
            // There is nobody to tell that standard error is closed.
            let _ = std::io::stderr().lock().write_all(line);
        }))
    }

    pub fn new(sink: Sink) -> Self {
        JsonLines {
            sink,
            dispatch: OnceLock::new(),
        }
    }

    fn ids<S>(&self, event: &Event<'_>, context: &Context<'_, S>, line: &mut Map<String, Value>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let Some(scope) = context.event_scope(event) else {
            return;
        };
        let mut told = false;
        for span in scope.filter(|span| span.metadata().target() == TARGET) {
            if !told
                && let Some(dispatch) = self.dispatch.get().and_then(|dispatch| dispatch.upgrade())
                && let Some((trace, span)) = forebay_telemetry::ids(&span.id(), &dispatch)
            {
                line.insert("trace_id".to_owned(), trace.into());
                line.insert("span_id".to_owned(), span.into());
                told = true;
            }
            if let Some(RequestId(id)) = span.extensions().get::<RequestId>() {
                line.entry("request_id").or_insert_with(|| id.clone().into());
                return;
            }
        }
    }
}

impl<S> Layer<S> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != TARGET {
            return;
        }
        let mut found = FindRequestId(None);
        attributes.record(&mut found);
        if let (Some(request_id), Some(span)) = (found.0, context.span(id)) {
            span.extensions_mut().insert(RequestId(request_id));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let mut line = Map::new();
        let mut timestamp = String::new();
        // The clock of the system cannot fail to be formatted.
        let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
        line.insert("timestamp".to_owned(), timestamp.into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        event.record(&mut Fields(&mut line));
        line.insert("target".to_owned(), metadata.target().into());
        self.ids(event, &context, &mut line);
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            (self.sink)(&text);
        }
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        // Those that stand for where a message of the `log` crate comes from are the line's own already.
        if !field.name().starts_with("log.") {
            self.0.insert(field.name().trim_start_matches("r#").to_owned(), value);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.put(field, text.into());
    }
}

struct FindRequestId(Option<String>);

impl Visit for FindRequestId {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "request_id" {
            self.0 = Some(format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "request_id" {
            self.0 = Some(value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use forebay_telemetry::{TraceContext, child_span, span_under};
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use parking_lot::Mutex;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn lines(work: impl FnOnce()) -> Vec<Value> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = written.clone();
        let lines = JsonLines::new(Box::new(move |line| {
            sink.lock().push(serde_json::from_slice(line).expect("a line of JSON"));
        }));
        let traces = SdkTracerProvider::builder().build().tracer("test");
        let subscriber = tracing_subscriber::registry()
            .with(lines)
            .with(tracing_opentelemetry::layer().with_tracer(traces));
        tracing::subscriber::with_default(subscriber, work);
        let written = written.lock();
        written.clone()
    }

    #[test]
    fn a_line_has_its_fields_and_nothing_of_traces_outside_of_them() {
        let lines = lines(|| tracing::warn!(rows = 3, ratio = 0.5, name = "a \"b\"", "something\nhappened"));
        let line = &lines[0];
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "something\nhappened");
        assert_eq!(
            (&line["rows"], &line["ratio"], &line["name"]),
            (&3.into(), &0.5.into(), &"a \"b\"".into())
        );
        assert!(line["target"].as_str().expect("a target").starts_with("forebay_server"));
        assert!(line["timestamp"].as_str().expect("a time").ends_with('Z'));
        assert!(line.get("trace_id").is_none() && line.get("request_id").is_none());
    }

    #[test]
    fn within_a_sampled_request_a_line_has_its_ids() {
        let context = TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None);
        let lines = lines(|| {
            let span = span_under!(context.as_ref(), "request", request_id = "r-1");
            let _entered = span.enter();
            tracing::info!("one");
            let child = child_span!("child");
            let _entered = child.enter();
            tracing::info!("other");
        });
        for line in &lines {
            assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(line["request_id"], "r-1");
        }
        assert_ne!(lines[0]["span_id"], lines[1]["span_id"]);
    }
}
