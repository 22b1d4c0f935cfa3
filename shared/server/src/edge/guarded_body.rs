//! A response body that holds what its request was admitted with until it has been sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::admission::Permits;

/// The body with the permits; a body that is wholly in memory gives them back at once.
pub(super) fn guard(body: Body, permits: Permits) -> Body {
    if body.size_hint().exact().is_some() {
        return body;
    }
    Body::new(UnsyncBoxBody::new(Guarded {
        body,
        _permits: permits,
    }))
}

struct Guarded {
    body: Body,
    _permits: Permits,
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
