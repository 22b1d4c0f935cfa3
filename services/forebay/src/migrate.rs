//! `forebay migrate`: what services find when they start.

use std::time::Duration;

use forebay_server::Starting;

use crate::backends;
use crate::config::{self, Config, Origin};
use crate::exit::Failure;

/// Makes keyspace, tables and topics, or brings them to this version; repeating it changes nothing. Groups' own tables
/// and topics are the registry's.
pub fn migrate(origin: &Origin, patience: Duration) -> Result<(), Failure> {
    let config = config::load(origin)?;
    forebay_server::start_logs(&config.logs).map_err(|error| Failure::Usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let starting = Starting::default();
    runtime.block_on(async {
        let migrated = tokio::time::timeout(patience, backends::migrate(&config, &starting)).await;
        match migrated {
            Ok(Ok(prepared)) => {
                prepared.iter().for_each(|line| println!("{line}"));
                Ok(())
            }
            Ok(Err(error)) => Err(Failure::Serve(error.to_string())),
            Err(_) => Err(Failure::Serve(late(&starting, patience, &config))),
        }
    })
}

fn late(starting: &Starting, patience: Duration, config: &Config) -> String {
    let reasons: Vec<String> = starting
        .waiting_for()
        .into_iter()
        .map(|(name, reason)| format!("{name} {reason}"))
        .collect();
    let environment = &config.registry.environment;
    format!(
        "not prepared for the environment {environment} within {patience:?}: {}",
        reasons.join("; ")
    )
}
