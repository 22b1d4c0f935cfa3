//! A socket that does not wait forever for the rest of a request's headers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Between requests: hyper's own timeout bounds the silence.
const IDLE: u8 = 0;
/// The first bytes of a request are here, its headers not all.
const HEAD: u8 = 1;
/// The handler has the request.
const BUSY: u8 = 2;

/// Where a connection is between its requests; the socket and the handler both move it on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase(Arc<AtomicU8>);

impl Phase {
    /// The headers are complete.
    pub fn begin_request(&self) {
        self.0.store(BUSY, Ordering::Relaxed);
    }

    /// The answer has begun; what is read from here on is the next request.
    pub fn end_request(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }
}

/// The socket of one connection.
///
/// hyper's `header_read_timeout` counts from the end of the request before, so that it bounds the silence between two
/// requests as well; a limit that is short enough for slow headers would close idle connections all the time. This one
/// counts from the first byte.
pub(crate) struct Connection<T> {
    socket: T,
    phase: Phase,
    timeout: Duration,
    head_began: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Connection<T> {
    pub fn new(socket: T, phase: Phase, timeout: Duration) -> Self {
        Connection {
            socket,
            phase,
            timeout,
            head_began: None,
            timer: None,
        }
    }

    /// Called when the socket has nothing to read.
    fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.phase.0.load(Ordering::Relaxed) != HEAD {
            self.timer = None;
            return Poll::Pending;
        }
        let deadline = self.head_began.unwrap_or_else(Instant::now) + self.timeout;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().poll(context)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.socket).poll_read(context, buffer) {
            Poll::Ready(read) => {
                let arrived = buffer.filled().len() > before;
                if arrived
                    && self
                        .phase
                        .0
                        .compare_exchange(IDLE, HEAD, Ordering::Relaxed, Ordering::Relaxed)
                        .is_ok()
                {
                    self.head_began = Some(Instant::now());
                    self.timer = None;
                }
                Poll::Ready(read)
            }
            Poll::Pending => {
                ready!(self.poll_overdue(context));
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the request's headers took too long",
                )))
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
