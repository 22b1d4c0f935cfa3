//! What of a trace goes from one process to the next: W3C's `traceparent` and `tracestate`.

use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header with the ids, of HTTP requests and of records alike.
pub const TRACEPARENT: &str = "traceparent";
/// The header with what vendors of tracing systems add.
pub const TRACESTATE: &str = "tracestate";

/// Longest `tracestate` that is passed on, in bytes.
const MAX_STATE: usize = 512;

/// The place of a sampled request in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext(SpanContext);

impl TraceContext {
    /// That of the current span; `None` when the request is not sampled.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::of(&Span::current())
    }

    /// That of a span; `None` when it is not sampled.
    #[must_use]
    pub fn of(span: &Span) -> Option<Self> {
        if span.is_disabled() {
            return None;
        }
        let context = span.context();
        let span = context.span().span_context().clone();
        (span.is_valid() && span.is_sampled()).then_some(Self(span))
    }

    /// What a caller or a record's writer sent; `None` when it is nothing that is understood, or not sampled.
    #[must_use]
    pub fn parse(traceparent: &[u8], tracestate: Option<&[u8]>) -> Option<Self> {
        let text = std::str::from_utf8(traceparent).ok()?;
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        // Later versions may append fields; this one has none.
        let is_known = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        if !is_known || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
            return None;
        }
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
        let state = tracestate
            .filter(|state| state.len() <= MAX_STATE)
            .and_then(|state| std::str::from_utf8(state).ok())
            .and_then(|state| TraceState::from_str(state).ok())
            .unwrap_or_default();
        let context = SpanContext::new(
            TraceId::from_hex(trace).ok()?,
            SpanId::from_hex(span).ok()?,
            flags,
            true,
            state,
        );
        (context.is_valid() && context.is_sampled()).then_some(Self(context))
    }

    /// That of a request's headers.
    #[must_use]
    pub fn extract(headers: &HeaderMap) -> Option<Self> {
        let traceparent = headers.get(TRACEPARENT)?;
        Self::parse(
            traceparent.as_bytes(),
            headers.get(TRACESTATE).map(HeaderValue::as_bytes),
        )
    }

    /// Adds it to the headers of a request.
    pub fn inject(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.traceparent()) {
            headers.insert(HeaderName::from_static(TRACEPARENT), value);
        }
        if let Some(state) = self.tracestate()
            && let Ok(value) = HeaderValue::from_str(&state)
        {
            headers.insert(HeaderName::from_static(TRACESTATE), value);
        }
    }

    /// The value of the header `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.0.trace_id(), self.0.span_id())
    }

    /// The value of the header `tracestate`; `None` when there is nothing to say.
    #[must_use]
    pub fn tracestate(&self) -> Option<String> {
        Some(self.0.trace_state().header()).filter(|state| !state.is_empty())
    }

    /// The trace's id in hexadecimal digits, as logs name it.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }

    pub(crate) fn as_parent(&self) -> Context {
        Context::new().with_remote_span_context(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn is_read_as_written() {
        let context = TraceContext::parse(PARENT.as_bytes(), Some(b"vendor=1")).expect("a context");
        assert_eq!(context.traceparent(), PARENT);
        assert_eq!(context.tracestate().as_deref(), Some("vendor=1"));
        assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        let mut headers = HeaderMap::new();
        context.inject(&mut headers);
        assert_eq!(TraceContext::extract(&headers), Some(context));
    }

    #[test]
    fn what_is_not_understood_or_not_sampled_is_none() {
        for text in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        ] {
            assert_eq!(TraceContext::parse(text.as_bytes(), None), None, "{text}");
        }
    }

    #[test]
    fn other_flags_and_later_versions_are_taken() {
        for text in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            let context = TraceContext::parse(text.as_bytes(), None).expect("a context");
            assert_eq!(context.traceparent(), PARENT);
        }
        let long = [b'a'; MAX_STATE + 1];
        let context = TraceContext::parse(PARENT.as_bytes(), Some(&long)).expect("a context");
        assert_eq!(context.tracestate(), None);
    }
}
