//! The settings of a listening server.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration_text;

/// Where a server listens and what it bears. Durations are written `250ms`, `10s`, `5m`, `1h`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Listen on other than loopback addresses although nobody is authenticated: whoever reaches the port may do
    /// everything. For networks that only let in whom they should.
    pub allow_unauthenticated: bool,
    /// Connections open at once; one more is answered 503 and closed.
    pub max_connections: usize,
    /// From a request's first byte to the end of its headers; then the connection is closed.
    #[serde(with = "duration_text")]
    pub header_timeout: Duration,
    /// How long a connection may be silent between two requests.
    #[serde(with = "duration_text")]
    pub idle_timeout: Duration,
    /// From the end of a request's headers to the start of its answer; then 504. A route may have its own.
    #[serde(with = "duration_text")]
    pub deadline: Duration,
    /// Largest request body in bytes; then 413. A route may have its own.
    pub max_body_bytes: usize,
    /// Requests under way at once; one more is answered 503 with Retry-After.
    pub max_requests: usize,
    /// How long the server goes on accepting after SIGTERM, while /readyz already answers 503.
    #[serde(with = "duration_text")]
    pub drain_delay: Duration,
    /// How long requests and tasks under way may take to finish after that; then they are cut.
    #[serde(with = "duration_text")]
    pub drain_deadline: Duration,
    /// One request in so many gets a trace span; 0 leaves it to the callers' `traceparent`.
    pub trace_every: u32,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7070)),
            allow_unauthenticated: false,
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            deadline: Duration::from_secs(30),
            max_body_bytes: 32 << 20,
            max_requests: 1024,
            drain_delay: Duration::from_millis(200),
            drain_deadline: Duration::from_secs(25),
            trace_every: 0,
        }
    }
}

/// What one route bears, where it differs from the server; `None` leaves the server's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteLimits {
    /// See [`ServerConfig::deadline`].
    pub deadline: Option<Duration>,
    /// See [`ServerConfig::max_body_bytes`].
    pub max_body_bytes: Option<usize>,
    /// Requests to this route under way at once; one more is answered 429 with Retry-After.
    pub max_requests: Option<usize>,
}
