//! A server for the tests of services: real sockets on a free port.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::config::ServerConfig;
use crate::server::Server;
use crate::service::Service;
use crate::shutdown::Shutdown;

/// A server on 127.0.0.1 with a free port, until it is dropped.
pub struct TestServer {
    url: String,
    shutdown: Shutdown,
    serving: Option<JoinHandle<()>>,
}

impl TestServer {
    /// Starts these services with the default limits.
    pub async fn start(services: impl IntoIterator<Item = Service>) -> Self {
        TestServer::with_config(services, ServerConfig::default()).await
    }

    /// Starts these services with these limits; the address and the drain delay are the test's own.
    pub async fn with_config(services: impl IntoIterator<Item = Service>, config: ServerConfig) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::new(ServerConfig {
            listen,
            drain_delay: Duration::from_millis(20),
            ..config
        });
        let server = services.into_iter().fold(server, Server::service);
        #[allow(clippy::expect_used)]
        let bound = server.bind().await.expect("a free port on 127.0.0.1");
        let url = format!("http://{}", bound.address());
        let shutdown = Shutdown::new();
        let told = shutdown.clone();
        let serving = tokio::spawn(async move { bound.serve(told, &Handle::current()).await });
        TestServer {
            url,
            shutdown,
            serving: Some(serving),
        }
    }

    /// The URL of a path: `server.url("/v1/info")`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Begins to drain and returns at once.
    pub fn drain(&self) {
        self.shutdown.drain();
    }

    /// Drains and waits until everything has ended.
    pub async fn stop(mut self) {
        self.shutdown.drain();
        if let Some(serving) = self.serving.take() {
            let _ = serving.await;
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shutdown.drain();
    }
}
