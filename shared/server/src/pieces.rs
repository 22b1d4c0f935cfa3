//! Answers in which the same text stands many times: it is kept once and sent from there as often as it stands in the answer.

use std::io::IoSlice;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use http::{HeaderValue, header};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// A body that is put together of text of its own, written once, and of repeated text.
///
/// Copying the repeated text in memory would cost more than all else; the system takes the pieces as they are. Such an answer must be sent by
/// [`Server`](crate::Server): it reaches the socket beside the response's body, which is empty.
#[derive(Debug, Default)]
pub struct Pieces {
    own: Vec<u8>,
    repeated: Vec<u8>,
    /// In the order of the body. What is left of `own` behind them stands at the end.
    parts: Vec<Part>,
    /// How much of `own` is in `parts`.
    ended: usize,
    /// Bytes in `parts`.
    length: usize,
}

#[derive(Debug)]
struct Part {
    is_repeated: bool,
    range: Range<usize>,
}

/// Repeated text that is shorter than this is copied: a piece of its own would cost more.
const COPIED: usize = 512;

impl Pieces {
    /// A body of about `own` bytes beside the repeated ones.
    pub fn with_capacity(own: usize) -> Self {
        Pieces {
            own: Vec::with_capacity(own),
            ..Pieces::default()
        }
    }

    /// Text that stands in the body once: append to it, and take away from it no more than was appended since the last [`Pieces::repeat`].
    pub fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Keeps a text that may stand in the body many times, and says where it is.
    pub fn keep(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.repeated.len();
        write(&mut self.repeated);
        start..self.repeated.len()
    }

    /// Puts a text that was kept, or a part of it, behind what the body has.
    pub fn repeat(&mut self, range: Range<usize>) {
        if range.len() < COPIED {
            self.own.extend_from_slice(&self.repeated[range]);
            return;
        }
        self.end_own();
        self.length += range.len();
        self.parts.push(Part {
            is_repeated: true,
            range,
        });
    }

    /// The whole body in one piece.
    pub fn into_vec(mut self) -> Vec<u8> {
        if self.parts.is_empty() {
            return self.own;
        }
        self.end_own();
        let mut body = Vec::with_capacity(self.length);
        for part in &self.parts {
            body.extend_from_slice(self.part(part));
        }
        body
    }

    fn end_own(&mut self) {
        let range = self.ended..self.own.len();
        self.ended = range.end;
        if !range.is_empty() {
            self.length += range.len();
            self.parts.push(Part {
                is_repeated: false,
                range,
            });
        }
    }

    fn part(&self, part: &Part) -> &[u8] {
        let text = if part.is_repeated { &self.repeated } else { &self.own };
        &text[part.range.clone()]
    }
}

impl IntoResponse for Pieces {
    fn into_response(mut self) -> Response {
        if self.parts.is_empty() {
            return Response::new(Body::from(self.own));
        }
        self.end_own();
        let mut response = Response::new(Body::empty());
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(self.length));
        response.extensions_mut().insert(Shared(Arc::new(self)));
        response
    }
}

/// How pieces travel with a response.
#[derive(Clone)]
struct Shared(Arc<Pieces>);

/// What is sent: the response's own body, or the pieces that came with it.
pub(crate) struct Sent(Kind);

enum Kind {
    Body(Body),
    Pieces(Option<Unsent>),
}

impl Sent {
    pub fn of(mut response: Response) -> http::Response<Self> {
        let pieces = response.extensions_mut().remove::<Shared>();
        response.map(|body| {
            Sent(match pieces {
                None => Kind::Body(body),
                Some(Shared(pieces)) => Kind::Pieces(Some(Unsent {
                    remaining: pieces.length,
                    pieces,
                    part: 0,
                    sent: 0,
                })),
            })
        })
    }
}

impl HttpBody for Sent {
    type Data = Chunk;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, axum::Error>>> {
        match &mut self.0 {
            Kind::Body(body) => Pin::new(body)
                .poll_frame(context)
                .map_ok(|frame| frame.map_data(Chunk::Bytes)),
            Kind::Pieces(pieces) => Poll::Ready(pieces.take().map(|pieces| Ok(Frame::data(Chunk::Pieces(pieces))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Body(body) => body.is_end_stream(),
            Kind::Pieces(pieces) => pieces.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Body(body) => body.size_hint(),
            Kind::Pieces(pieces) => SizeHint::with_exact(pieces.as_ref().map_or(0, |pieces| pieces.remaining as u64)),
        }
    }
}

/// A part of a body on its way to the socket.
pub(crate) enum Chunk {
    Bytes(Bytes),
    Pieces(Unsent),
}

/// What was not sent yet of a body in pieces.
pub(crate) struct Unsent {
    pieces: Arc<Pieces>,
    /// The first part that was not sent wholly, and the bytes sent of it.
    part: usize,
    sent: usize,
    remaining: usize,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.remaining(),
            Chunk::Pieces(unsent) => unsent.remaining,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Chunk::Bytes(bytes) => bytes.chunk(),
            Chunk::Pieces(unsent) => unsent.parts().next().unwrap_or_default(),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Chunk::Bytes(bytes) => bytes.advance(count),
            Chunk::Pieces(unsent) => unsent.advance(count),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.chunks_vectored(slices),
            Chunk::Pieces(unsent) => {
                let parts = slices.iter_mut().zip(unsent.parts());
                parts.map(|(slice, part)| *slice = IoSlice::new(part)).count()
            }
        }
    }
}

impl Unsent {
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut sent = self.sent;
        let parts = self.pieces.parts.iter().skip(self.part);
        parts.map(move |part| &self.pieces.part(part)[std::mem::take(&mut sent)..])
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining, "more was sent than there is");
        self.remaining -= count;
        self.sent += count;
        while let Some(part) = self.pieces.parts.get(self.part)
            && self.sent >= part.range.len()
        {
            self.sent -= part.range.len();
            self.part += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long and short texts, own and repeated, in turn.
    fn pieces() -> (Pieces, Vec<u8>) {
        let mut pieces = Pieces::with_capacity(16);
        let long = pieces.keep(|text| text.extend((0..2_000).map(|n| b'a' + (n % 26) as u8)));
        let short = pieces.keep(|text| text.extend_from_slice(b"short"));
        let mut expected = Vec::new();
        for (own, repeated) in [
            ("", &long),
            ("1", &short),
            ("22", &long),
            ("", &(3..1_999)),
            ("333", &short),
        ] {
            pieces.own().extend_from_slice(own.as_bytes());
            expected.extend_from_slice(own.as_bytes());
            pieces.repeat(repeated.clone());
            expected.extend_from_slice(&pieces.repeated[repeated.clone()]);
        }
        pieces.own().extend_from_slice(b"end");
        expected.extend_from_slice(b"end");
        (pieces, expected)
    }

    #[test]
    fn in_one_piece_it_is_the_same() {
        let (pieces, expected) = pieces();
        assert_eq!(pieces.into_vec(), expected);
        assert_eq!(Pieces::default().into_vec(), b"");
    }

    #[test]
    fn whatever_is_taken_at_once_all_of_it_is_sent() {
        for step in [1, 7, 511, 1_990, 10_000] {
            let (pieces, expected) = pieces();
            let response = pieces.into_response();
            assert_eq!(response.headers()[header::CONTENT_LENGTH], expected.len().to_string());
            let Kind::Pieces(Some(unsent)) = Sent::of(response).into_body().0 else {
                panic!("no pieces");
            };
            let mut chunk = Chunk::Pieces(unsent);
            let mut sent = Vec::new();
            while chunk.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 3];
                let count = chunk.chunks_vectored(&mut slices);
                assert_eq!(&slices[0][..], chunk.chunk());
                let taken: Vec<u8> = slices[..count]
                    .iter()
                    .flat_map(|slice| slice.iter().copied())
                    .take(step)
                    .collect();
                chunk.advance(taken.len());
                sent.extend(taken);
            }
            assert_eq!(sent, expected);
        }
    }
}
