//! `forebay migrate`: what services find when they start.

use std::time::Duration;

use forebay_networked::settings::{Origin, Settings, load};
use forebay_networked::{Failure, migrate as prepare, run_migration};

use crate::config::Config;

/// Makes keyspace, tables and topics, or brings them to this version; repeating it changes nothing. Groups' own tables
/// and topics are the registry's.
pub fn migrate(origin: &Origin, patience: Duration) -> Result<(), Failure> {
    let config: Config = load(origin)?;
    run_migration(&config.common(), patience, async |starting| {
        prepare(starting, &config.registry, &config.cassandra, &config.kafka).await
    })
}
