//! The background half of ingestion, as the service runs it.

use std::time::Duration;

use forebay_server::Service;
use tokio_util::sync::CancellationToken;

use crate::{AppState, tables};

/// Adds the background tasks to the service.
pub(crate) fn tasks(service: Service, state: &AppState) -> Service {
    let (supervised, signalled, asked, measured) = (state.clone(), state.clone(), state.clone(), state.clone());
    service
        .measured(move || measured.measure())
        .task("sinks", move |stop| tables::supervise(supervised, stop))
        .task("signals", move |stop| async move { signalled.signals.run(stop).await })
        .ready_when("online rows", move || asked.replay.check(&asked.deps.catalog.current()))
}

/// Waits longer after each failure in a row, up to ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Waits, unless it is told to stop first.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) {
        let millis = 50_u64.saturating_mul(1 << self.failures.min(8)).min(10_000);
        self.failures += 1;
        tokio::select! {
            () = stop.cancelled() => {
                // Whoever still tries while the process drains must not spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            () = tokio::time::sleep(Duration::from_millis(millis)) => {}
        }
    }
}
