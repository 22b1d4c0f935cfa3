//! The accept loop: one task per connection, a bounded number of them, an orderly end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use forebay_api::{Code, PROBLEM_JSON, Problem};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::config::ServerConfig;
use crate::connection::{Connection, Phase};
use crate::pieces::Sent;
use crate::roof::Roof;
use crate::shutdown::Shutdown;

/// Connections over the limit that are being told so at once; more are closed without a word.
const REFUSALS: usize = 64;

/// Takes connections until the shutdown drains, then finishes those that are open; each takes one of the places.
///
/// Draining: for `drain_delay` connections are still taken and answers carry `Connection: close`, so that balancers
/// see /readyz first; then the listener closes, idle connections end, and requests under way have `drain_deadline`.
pub(crate) async fn run(
    listener: TcpListener,
    roof: Roof,
    config: ServerConfig,
    places: Arc<Semaphore>,
    shutdown: Shutdown,
) {
    let connections = TaskTracker::new();
    let ending = CancellationToken::new();
    let accepting = Accepting {
        roof,
        header_timeout: config.header_timeout,
        idle_timeout: config.idle_timeout,
        places,
        refused: metrics::counter!("forebay_http_connections_refused_total"),
        refusals: Arc::new(Semaphore::new(REFUSALS)),
        ending: ending.clone(),
        connections: connections.clone(),
    };
    let delayed = async {
        shutdown.draining().await;
        tokio::select! {
            () = tokio::time::sleep(config.drain_delay) => {}
            () = shutdown.cut() => {}
        }
    };
    tokio::select! {
        () = accepting.run(&listener) => {}
        () = delayed => {}
    }
    drop(listener);
    ending.cancel();
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = tokio::time::sleep(config.drain_deadline) => {
            tracing::warn!(open = connections.len(), "connections are cut: the drain deadline has passed");
        }
        () = shutdown.cut() => {}
    }
}

struct Accepting {
    roof: Roof,
    header_timeout: Duration,
    idle_timeout: Duration,
    places: Arc<Semaphore>,
    refused: Counter,
    refusals: Arc<Semaphore>,
    ending: CancellationToken,
    connections: TaskTracker,
}

impl Accepting {
    async fn run(&self, listener: &TcpListener) {
        loop {
            let socket = match listener.accept().await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            // Answers are written in one piece; waiting for more to send only delays them.
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!("TCP_NODELAY: {error}");
            }
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                self.refuse(socket);
                continue;
            };
            let connection = serve(
                socket,
                self.roof.clone(),
                self.header_timeout,
                self.idle_timeout,
                self.ending.clone(),
            );
            self.connections.spawn(async move {
                connection.await;
                drop(place);
            });
        }
    }

    fn refuse(&self, socket: TcpStream) {
        self.refused.increment(1);
        if let Ok(place) = Arc::clone(&self.refusals).try_acquire_owned() {
            self.connections.spawn(async move {
                // Neither the caller's silence nor its haste keeps the place longer than this.
                let _ = tokio::time::timeout(Duration::from_secs(1), tell_full(socket)).await;
                drop(place);
            });
        }
    }
}

/// Serves one connection to its end.
async fn serve(
    socket: TcpStream,
    roof: Roof,
    header_timeout: Duration,
    idle_timeout: Duration,
    ending: CancellationToken,
) {
    let phase = Phase::default();
    let io = TokioIo::new(Connection::new(socket, phase.clone(), header_timeout));
    let service = service_fn(move |request: Request<Incoming>| {
        phase.begin_request();
        let phase = phase.clone();
        let answer = roof.router().call(request.map(Body::new));
        async move {
            let answer = answer.await;
            phase.end_request();
            Ok::<_, Infallible>(match answer {
                Ok(response) => Sent::of(response),
                Err(never) => match never {},
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        .serve_connection(io, service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!("connection: {error}");
    }
}

/// Answers whatever comes with 503 and closes.
async fn tell_full(mut socket: TcpStream) -> std::io::Result<()> {
    let detail = "as many connections as this server takes are open; repeat in a second";
    let problem = Problem::new(Code::Overloaded, detail).retry_after(1);
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\nretry-after: 1\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    // A socket that is closed with bytes unread is reset, and the answer with it: read the request first.
    let mut request = [0; 4096];
    let _ = socket.read(&mut request).await?;
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await?;
    while socket.read(&mut request).await? > 0 {}
    Ok(())
}

/// A connection that failed before it was accepted is the caller's matter; without file descriptors, wait for some.
async fn pause_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    ) {
        tracing::error!("accept: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
