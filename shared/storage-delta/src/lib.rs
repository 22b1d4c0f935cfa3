//! The offline store on Delta Lake, on the local disk or on S3: one table per group and generation, and the Delta tables of others as sources.
//!
//! Nothing here relies on deltalake's conflict resolution: every commit is made against the one version it was decided on, and whoever is overtaken looks at
//! the table again. On S3 a commit is a conditional PUT of deltalake's own log store over `object_store`. Rows are read by a table provider of our own, which
//! prunes files by key and time before they are opened.

mod added;
mod append;
mod clock;
mod columns;
mod commit;
mod compaction;
mod config;
mod durable;
mod ensure;
mod error;
mod files;
mod location;
mod locations;
mod log;
mod log_cache;
mod notes;
mod provider;
mod pruning;
mod purge;
mod rows;
mod s3;
mod sort;
mod sources;
mod stats;
mod store;
mod table;
mod tidy;
mod transactions;
mod vacuum;
mod write;

pub use config::{LakeConfig, S3Config};
pub use location::Location;
pub use locations::{LakeLocations, LocationError};
pub use provider::GroupTable;
pub use store::DeltaStore;

const WHAT: &str = "offline store";

#[cfg(test)]
mod tests;
