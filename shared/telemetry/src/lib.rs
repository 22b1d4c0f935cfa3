//! What all crates tell of their work: spans of sampled requests, and metrics with their descriptions.
//!
//! **Traces.** A request that nobody samples has no span: [`child_span!`] then costs one look at the current span and makes nothing. Spans have the target
//! [`TARGET`], by which they are told from those of libraries. Names and attributes follow OpenTelemetry's semantic conventions; no key and no feature value
//! is ever one.
//!
//! **Metrics.** Each crate lists its own in a table of [`Metric`]s, which is what `/metrics` says of them and what docs/operations.md is tested against. Handles
//! of counters and histograms are resolved once and kept. Gauges are told anew at each scrape, by name: one that nobody tells any more, such as that of a group
//! that is gone, disappears.

mod context;
mod metric;
mod span;

pub use context::{TRACEPARENT, TRACESTATE, TraceContext};
pub use metric::{Kind, Metric, describe};
pub use span::{failed, ids, is_traced, under};

/// The target of all spans.
pub const TARGET: &str = "forebay_trace";

#[doc(hidden)]
pub use tracing as __tracing;

/// A span below the current one, or none when the request is not sampled: `child_span!("read online rows", db.system.name = "cassandra")`.
#[macro_export]
macro_rules! child_span {
    ($($span:tt)*) => {
        if $crate::is_traced() {
            $crate::__tracing::info_span!(target: "forebay_trace", $($span)*)
        } else {
            $crate::__tracing::Span::none()
        }
    };
}

/// A span below one of another process, or a new trace when there is none: `span_under!(Some(&context), "online sink", rows = 3)`.
#[macro_export]
macro_rules! span_under {
    ($context:expr, $($span:tt)*) => {
        $crate::under($context, $crate::__tracing::info_span!(target: "forebay_trace", parent: None, $($span)*))
    };
}
