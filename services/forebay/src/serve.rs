//! `forebay serve`: one service or all of them in this process.

use forebay_server::{Runtimes, Server, Shutdown, Starting};

use crate::backends::Backends;
use crate::config::{self, Origin};
use crate::exit::Failure;
use crate::feasible;
use crate::role::Role;
use crate::services::Composition;

/// Serves until SIGTERM or SIGINT, then drains. The port is listened on first; what the services need is waited for.
pub fn serve(role: Option<Role>, origin: &Origin) -> Result<(), Failure> {
    let config = config::load(origin)?;
    feasible::check(&config, role)?;
    forebay_server::start_logs(&config.logs).map_err(|error| Failure::Usage(error.to_string()))?;
    forebay_server::start_metrics();
    let listen = config.server.listen;
    if !listen.ip().is_loopback() {
        tracing::warn!(
            %listen,
            "server.allow_unauthenticated is set: nobody is authenticated, and whoever reaches this address may do everything"
        );
    }
    let runtimes = Runtimes::new(&config.runtimes)?;
    let served = runtimes.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        let bound = Server::new(config.server.clone()).bind().await.map_err(failed)?;
        let services = role.map_or("all", Role::as_str);
        tracing::info!(address = %bound.address(), services, "listening");
        let starting = Starting::default();
        // They stay open until everything has drained.
        let backends = Backends::new(&config, &starting);
        let composition = Composition {
            config: &config,
            backends: &backends,
            starting: &starting,
            work: runtimes.work(),
        };
        let opening = composition.services(role);
        let served = bound.serve_when(opening, &starting, shutdown, runtimes.work()).await;
        served.map_err(failed)
    });
    runtimes.shutdown(config.server.drain_deadline);
    served
}

fn failed(error: impl std::error::Error) -> Failure {
    Failure::Serve(error.to_string())
}
