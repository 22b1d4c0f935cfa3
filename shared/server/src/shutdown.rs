//! The three steps of an ending process: draining, stopping, cutting.

use tokio_util::sync::CancellationToken;

/// Tells a server to drain. Clones speak of the same server.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    cut: CancellationToken,
}

impl Shutdown {
    /// A server that has not been told to end.
    pub fn new() -> Self {
        Shutdown::default()
    }

    /// Drains on SIGTERM or SIGINT; on a second signal what is under way is cut.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Shutdown::new();
        let mut signals = Signals::new()?;
        let told = shutdown.clone();
        tokio::spawn(async move {
            let signal = signals.next().await;
            tracing::info!(signal, "draining");
            told.drain();
            let signal = signals.next().await;
            tracing::warn!(signal, "a second signal: requests and tasks under way are cut");
            told.cut.cancel();
        });
        Ok(shutdown)
    }

    /// Begins to drain: /readyz answers 503, later no connection is taken, requests under way are finished.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Whether draining has begun.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Resolves when draining begins; endless responses (server-sent events) end then.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Resolves when no more time is given.
    pub(crate) async fn cut(&self) {
        self.cut.cancelled().await;
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "ctrl-c",
            Err(_) => std::future::pending().await,
        }
    }
}
