//! Spans of what sinks do with rows of sampled requests: each ends when its rows are in the store.

use forebay_model::GroupName;
use forebay_storage::Traced;
use forebay_telemetry::{TraceContext, failed, span_under};
use tracing::Span;

use crate::Store;

/// Requests whose rows a sink follows at once; those of more are brought in without a span.
const MOST: usize = 256;

/// The spans of rows that are on their way into a store, one for each request, below the one that appended them.
#[derive(Debug)]
pub(crate) struct Traces {
    group: GroupName,
    store: Store,
    spans: Vec<(TraceContext, Span)>,
}

impl Traces {
    pub(crate) fn new(group: &GroupName, store: Store) -> Self {
        Self {
            group: group.clone(),
            store,
            spans: Vec::new(),
        }
    }

    /// Rows of these requests are on their way.
    pub(crate) fn begin(&mut self, partition: u32, traces: &[Traced]) {
        for traced in traces {
            let known = self.spans.iter().any(|(context, _)| *context == traced.context);
            if known || self.spans.len() >= MOST {
                continue;
            }
            let (group, store) = (&self.group, self.store.as_str());
            let span = span_under!(
                Some(&traced.context),
                "sink",
                otel.name = format_args!("process {group} {store}"),
                otel.kind = "consumer",
                messaging.operation.name = "bring in",
                messaging.operation.type = "process",
                messaging.destination.partition.id = partition,
                messaging.batch.message_count = traced.last - traced.first + 1,
                forebay.group = %group,
                forebay.store = store,
            );
            self.spans.push((traced.context.clone(), span));
        }
    }

    /// Within which the store is called: there is one call for the rows of all requests, and it is seen in the trace of the first.
    pub(crate) fn first(&self) -> Span {
        self.spans.first().map_or_else(Span::none, |(_, span)| span.clone())
    }

    /// All of them are in the store.
    pub(crate) fn end(&mut self) {
        self.spans.clear();
    }

    /// They are brought in later, by whoever begins again.
    pub(crate) fn give_up(&mut self) {
        for (_, span) in self.spans.drain(..) {
            failed(&span, "left to whoever begins again");
        }
    }
}
