//! Serving from the first moment to the last request.

use std::fmt::Display;

use forebay_server::{Identity, Runtimes, Server, Service, Shutdown};

use crate::failure::Failure;
use crate::needs;
use crate::process::Process;
use crate::program::Program;
use crate::settings::{Common, Origin, Settings, load};

/// Serves one service over its networked backends.
///
/// # Errors
/// When the settings are wrong, or the process cannot serve.
pub fn serve_program<P: Program>(origin: &Origin) -> Result<(), Failure> {
    let settings: P::Settings = load(origin)?;
    needs::common(&settings.common())?;
    P::check(&settings)?;
    serve(&settings.common(), P::NAME, async |process: &Process| {
        P::open(&settings, process).await.map(|service| vec![service])
    })
}

/// Serves what `open` makes until SIGTERM or SIGINT, then drains. The port is listened on first; what the services need is waited for.
///
/// # Errors
/// When the process cannot serve, or `open` fails.
pub fn serve<E: Display>(
    common: &Common<'_>,
    services: &str,
    open: impl AsyncFnOnce(&Process) -> Result<Vec<Service>, E>,
) -> Result<(), Failure> {
    let identity = Identity {
        service: services,
        environment: &common.registry.environment,
    };
    let telemetry = forebay_server::start_telemetry(common.telemetry, common.logs, identity)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let listen = common.server.listen;
    if !listen.ip().is_loopback() {
        tracing::warn!(
            %listen,
            "server.allow_unauthenticated is set: nobody is authenticated, and whoever reaches this address may do everything"
        );
    }
    let runtimes = Runtimes::new(common.runtimes).map_err(failed)?;
    let served = runtimes.block_on(async {
        let shutdown = Shutdown::on_signals().map_err(failed)?;
        let bound = Server::new(common.server.clone()).bind().await.map_err(failed)?;
        tracing::info!(address = %bound.address(), services, "listening");
        // What it keeps stays until everything has drained.
        let process = Process::new(runtimes.work().clone());
        let opening = open(&process);
        let served = bound.serve_when(opening, &process.starting, shutdown, runtimes.work());
        let served = served.await.map_err(failed);
        // What was traced last is sent as well, if the collector takes it at once.
        telemetry.flush(common.telemetry.export_timeout).await;
        served
    });
    runtimes.shutdown(common.server.drain_deadline);
    served
}

fn failed(error: impl Display) -> Failure {
    Failure::Serve(error.to_string())
}
