//! The embedded stores: everything that one process needs in one data directory, and every acknowledged write there after a kill.
//!
//! Rows online and small state are in LMDB, which was chosen by measuring (docs/benchmarks.md, "Embedded store"); the row log is files of its own.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
mod directory;
mod failure;
mod group_commit;
mod lmdb;
mod online;
mod row_log;
mod state;

pub use directory::{EmbeddedStores, OpenError, Options};
pub use online::{EmbeddedOnlineStore, OnlineOptions};
pub use row_log::{EmbeddedRowLog, RowLogOptions};
pub use state::{EmbeddedClaimStore, EmbeddedRegistryStore, EmbeddedRunStore};
