//! The services that can be processes of their own.

use std::fmt;

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

impl Role {
    /// As on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Registry => "registry",
            Role::Compute => "compute",
            Role::Ingestion => "ingestion",
            Role::OnlineServing => "online-serving",
            Role::OfflineQuery => "offline-query",
        }
    }

    /// Whether it keeps or reads online rows, definitions, runs, claims or leases.
    pub fn needs_tables(self) -> bool {
        self != Role::OfflineQuery
    }

    /// Whether it reads or writes Delta tables.
    pub fn needs_lake(self) -> bool {
        self != Role::OnlineServing
    }

    /// Whether it learns from the registry what is registered.
    pub fn follows_registry(self) -> bool {
        self != Role::Registry
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
