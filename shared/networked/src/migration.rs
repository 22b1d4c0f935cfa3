//! The command `migrate`.

use std::time::Duration;

use forebay_server::Starting;

use crate::backend_error::BackendError;
use crate::failure::Failure;
use crate::settings::Common;

/// Prints what `prepare` has prepared, if it has within `patience`.
///
/// # Errors
/// When it has not: then with what it waited for.
pub fn run_migration(
    common: &Common<'_>,
    patience: Duration,
    prepare: impl AsyncFnOnce(&Starting) -> Result<Vec<String>, BackendError>,
) -> Result<(), Failure> {
    forebay_server::start_logs(common.logs).map_err(|error| Failure::Usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::Serve(error.to_string()))?;
    let starting = Starting::default();
    runtime.block_on(async {
        match tokio::time::timeout(patience, prepare(&starting)).await {
            Ok(Ok(prepared)) => {
                prepared.iter().for_each(|line| println!("{line}"));
                Ok(())
            }
            Ok(Err(error)) => Err(Failure::Serve(error.to_string())),
            Err(_) => Err(Failure::Serve(late(&starting, patience, &common.registry.environment))),
        }
    })
}

fn late(starting: &Starting, patience: Duration, environment: &str) -> String {
    let reasons: Vec<String> = starting
        .waiting_for()
        .into_iter()
        .map(|(name, reason)| format!("{name} {reason}"))
        .collect();
    format!(
        "not prepared for the environment {environment} within {patience:?}: {}",
        reasons.join("; ")
    )
}
