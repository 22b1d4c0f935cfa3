//! Queries over the lake: the as-of join and the tables it reads.

pub mod asof;
mod offline_tables;

pub use offline_tables::{OfflineTable, OfflineTables};
