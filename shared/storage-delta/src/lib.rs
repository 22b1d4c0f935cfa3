//! The offline store on Delta Lake: one table per group and generation, and the Delta tables of others as sources.
//!
//! Nothing here relies on deltalake's conflict resolution: every commit is made against the one version it was decided on (`max_retries` 0), and whoever is
//! overtaken looks at the table again. Rows are read by a table provider of our own, which prunes files by key and time before they are opened.

mod added;
mod append;
mod columns;
mod commit;
mod compaction;
mod durable;
mod ensure;
mod error;
mod files;
mod location;
mod log;
mod provider;
mod pruning;
mod rows;
mod sort;
mod sources;
mod stats;
mod store;
mod table;
mod tidy;
mod write;

pub use location::{LakeLocations, LocationError};
pub use provider::GroupTable;
pub use store::DeltaStore;

const WHAT: &str = "offline store";

#[cfg(test)]
mod tests;
