//! What a record's headers tell of where its row comes from.

use forebay_telemetry::{TRACEPARENT, TRACESTATE, TraceContext};
use rdkafka::message::{Header, Headers, OwnedHeaders};

use super::identity::{BATCH_HEADER, RowIdentity};

/// The request that a row came with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) identity: RowIdentity,
    /// Of a sampled request: the span that appended the row.
    pub(crate) trace: Option<TraceContext>,
}

impl Origin {
    /// Of the headers of a record, which anybody may have written.
    pub(crate) fn of(headers: Option<&impl Headers>) -> Self {
        let mut origin = Self::default();
        let Some(headers) = headers else {
            return origin;
        };
        let mut traceparent = None;
        let mut tracestate = None;
        for header in headers.iter() {
            match (header.key, header.value) {
                (BATCH_HEADER, Some(value)) => origin.identity = RowIdentity::from_bytes(value).unwrap_or_default(),
                (TRACEPARENT, Some(value)) => traceparent = Some(value),
                (TRACESTATE, value) => tracestate = value,
                _ => {}
            }
        }
        origin.trace = traceparent.and_then(|traceparent| TraceContext::parse(traceparent, tracestate));
        origin
    }
}

/// The headers of all records of one append, but for their identities.
pub(crate) struct TraceHeaders {
    traceparent: String,
    tracestate: Option<String>,
}

impl TraceHeaders {
    /// Those of the current span; `None` when the request is not sampled.
    pub(crate) fn current() -> Option<Self> {
        TraceContext::current().map(|context| Self {
            traceparent: context.traceparent(),
            tracestate: context.tracestate(),
        })
    }
}

/// The headers of one record.
pub(crate) fn headers(identity: RowIdentity, trace: Option<&TraceHeaders>) -> OwnedHeaders {
    let identity = identity.to_bytes();
    let headers = OwnedHeaders::new_with_capacity(1 + 2 * usize::from(trace.is_some())).insert(Header {
        key: BATCH_HEADER,
        value: Some(&identity[..]),
    });
    let Some(trace) = trace else {
        return headers;
    };
    let headers = headers.insert(Header {
        key: TRACEPARENT,
        value: Some(trace.traceparent.as_bytes()),
    });
    match &trace.tracestate {
        None => headers,
        Some(state) => headers.insert(Header {
            key: TRACESTATE,
            value: Some(state.as_bytes()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn headers_are_read_as_written() {
        let identity = RowIdentity {
            batch: Uuid::from_u128(7),
            index: 1,
            ordinal: 2,
        };
        let trace = TraceHeaders {
            traceparent: PARENT.to_owned(),
            tracestate: Some("vendor=1".to_owned()),
        };
        let origin = Origin::of(Some(&headers(identity, Some(&trace))));
        assert_eq!(origin.identity, identity);
        let context = origin.trace.expect("a trace");
        assert_eq!(
            (context.traceparent().as_str(), context.tracestate().as_deref()),
            (PARENT, Some("vendor=1"))
        );

        let origin = Origin::of(Some(&headers(identity, None)));
        assert!(origin.identity == identity && origin.trace.is_none());
        assert!(Origin::of(None::<&OwnedHeaders>).trace.is_none());
    }

    #[test]
    fn what_others_write_there_does_no_harm() {
        let headers = OwnedHeaders::new()
            .insert(Header {
                key: TRACEPARENT,
                value: Some("nonsense".as_bytes()),
            })
            .insert(Header {
                key: BATCH_HEADER,
                value: None::<&[u8]>,
            });
        let origin = Origin::of(Some(&headers));
        assert!(origin.identity == RowIdentity::default() && origin.trace.is_none());
    }
}
