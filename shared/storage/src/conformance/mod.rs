//! The suites that every backend of a seam runs in full: one function per trait, given a way to make an empty store. They panic where a backend fails.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used)]

mod announcements;
mod claims;
mod leases;
mod offline;
mod online;
mod registry;
mod rejected_log;
mod row_log;
pub mod rows;
mod runs;
pub mod schemas;

use std::sync::Arc;

use async_trait::async_trait;

pub use announcements::announcements;
pub use claims::claim_store;
pub use leases::{LeasesPlace, leases};
pub use offline::offline_store;
pub use online::online_store;
pub use registry::registry_store;
pub use rejected_log::rejected_log;
pub use row_log::row_log;
pub use runs::run_store;

/// Where a store lives. It is opened again only after the store that was opened before is dropped, and then holds all that was acknowledged.
#[async_trait]
pub trait Installation<S: ?Sized>: Send + Sync {
    async fn open(&self) -> Arc<S>;
}
