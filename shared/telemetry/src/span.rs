//! Spans of sampled requests.

use opentelemetry::{
    Context,
    trace::{Status, TraceContextExt},
};
use tracing::{Dispatch, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{TARGET, TraceContext};

/// Whether the current span is one of a sampled request.
#[must_use]
pub fn is_traced() -> bool {
    Span::current()
        .metadata()
        .is_some_and(|metadata| metadata.target() == TARGET)
}

/// Puts a new span below one of another process; without one it begins a trace. For [`span_under!`](crate::span_under).
#[must_use]
pub fn under(context: Option<&TraceContext>, span: Span) -> Span {
    let parent = context.map_or_else(Context::new, TraceContext::as_parent);
    // Without somebody who collects spans there is nothing to put it into.
    let _ = span.set_parent(parent);
    span
}

/// Marks a span as that of something that failed. The message must not hold any key or value.
pub fn failed(span: &Span, message: impl Into<String>) {
    if !span.is_disabled() {
        span.set_status(Status::error(message.into()));
    }
}

/// The ids of a trace and a span as logs name them, for who formats events. `None` when the span is not collected.
#[must_use]
pub fn ids(span: &tracing::span::Id, dispatch: &Dispatch) -> Option<(String, String)> {
    let context = tracing_opentelemetry::get_otel_context(span, dispatch)?;
    let span = context.span().span_context().clone();
    span.is_valid()
        .then(|| (span.trace_id().to_string(), span.span_id().to_string()))
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::{child_span, span_under};

    fn collected(work: impl FnOnce()) {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    }

    #[test]
    fn a_child_has_the_trace_of_its_parent_in_another_process() {
        collected(|| {
            let remote = TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None);
            let span = span_under!(remote.as_ref(), "request");
            let here = TraceContext::of(&span).expect("sampled");
            assert_eq!(here.trace_id(), "0af7651916cd43dd8448eb211c80319c");
            let _entered = span.enter();
            let child = TraceContext::of(&child_span!("child", rows = 3)).expect("sampled");
            assert_eq!(child.trace_id(), here.trace_id());
            assert_ne!(child, here);
        });
    }

    #[test]
    fn without_a_parent_a_trace_begins_and_without_a_request_there_is_no_span() {
        collected(|| {
            assert!(child_span!("child").is_none());
            let one = TraceContext::of(&span_under!(None, "one")).expect("sampled");
            let other = TraceContext::of(&span_under!(None, "other")).expect("sampled");
            assert_ne!(one.trace_id(), other.trace_id());
        });
    }

    #[test]
    fn nothing_is_made_when_nobody_collects() {
        let span = span_under!(None, "request");
        assert!(span.is_disabled() && TraceContext::of(&span).is_none());
    }
}
