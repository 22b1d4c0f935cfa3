//! What the tests of services share: the embedded stores in a folder of their own, and snapshots and rows from JSON.
//!
//! Everything here panics on a mistake, since that is a mistake of the test.
#![allow(clippy::expect_used, clippy::missing_panics_doc, clippy::must_use_candidate)]

mod rows;
mod snapshot;
mod stores;

pub use rows::packed_rows;
pub use snapshot::snapshot;
pub use stores::TempStores;
