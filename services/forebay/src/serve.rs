//! `forebay serve`: all services in this process.

use std::net::SocketAddr;

use forebay_server::{Runtimes, Server, Shutdown};

use crate::backends::Backends;
use crate::config::{self, Origin};
use crate::exit::Failure;
use crate::services::services;

/// Serves until SIGTERM or SIGINT, then drains.
pub fn serve(origin: &Origin) -> Result<(), Failure> {
    let config = config::load(origin)?;
    check_listen(config.server.listen)?;
    forebay_server::start_logs(&config.logs).map_err(|error| Failure::Usage(error.to_string()))?;
    forebay_server::start_metrics();
    let runtimes = Runtimes::new(&config.runtimes)?;
    let served = runtimes.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        let server = Server::new(config.server.clone());
        let backends = Backends::open(&config).await.map_err(failed)?;
        let services = services(&backends, &config, runtimes.work());
        let bound = services
            .into_iter()
            .fold(server, Server::service)
            .bind()
            .await
            .map_err(failed)?;
        tracing::info!(address = %bound.address(), "listening");
        bound.serve(shutdown, runtimes.work()).await;
        Ok(())
    });
    runtimes.shutdown(config.server.drain_deadline);
    served
}

fn failed(error: impl std::error::Error) -> Failure {
    Failure::Serve(error.to_string())
}

/// Nobody is authenticated, so that nobody outside of this machine may reach it.
fn check_listen(listen: SocketAddr) -> Result<(), Failure> {
    match listen.ip().is_loopback() {
        true => Ok(()),
        false => Err(Failure::Usage(format!(
            "{listen} can be reached from other machines, and this version authenticates nobody; listen on 127.0.0.1 or \
             [::1], and put what authenticates in front"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on() {
        for (listen, fits) in [
            ("127.0.0.1:7070", true),
            ("[::1]:0", true),
            ("0.0.0.0:7070", false),
            ("[::]:1", false),
        ] {
            assert_eq!(
                check_listen(listen.parse().expect("an address")).is_ok(),
                fits,
                "{listen}"
            );
        }
    }
}
