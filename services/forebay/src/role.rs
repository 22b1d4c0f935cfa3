//! The services that can be processes of their own.

use clap::ValueEnum;

/// One of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Definitions, the graph, plans and applies
    Registry,
    /// Runs and their schedule
    Compute,
    /// Rows from callers, and the sinks
    Ingestion,
    /// Features as they are
    OnlineServing,
    /// Features as they were
    OfflineQuery,
}
