//! A service's copy of the registry, in memory and always there: no request waits for the registry.
//!
//! A [`Catalog`] holds the newest [`Snapshot`]; a request takes one and works with it to its end, so that it sees one
//! registry revision. Change sets move the catalog from revision to revision, each at once and whole.

mod asked;
mod catalog;
mod change_set;
mod error;
mod extensions;
pub mod follower;
mod group;
mod metrics;
mod readiness;
mod sample;
mod snapshot;
mod view;
mod wire;

pub use asked::{Asked, KeyColumns, MixedKeys};
pub use catalog::{Catalog, Gap, NotYet};
pub use change_set::{ChangeSet, GroupState, Object, Record, RecordError};
pub use error::LookupError;
pub use extensions::Extensions;
pub use group::{Group, GroupFeature, uses_row_log};
pub use metrics::METRICS;
pub use readiness::{Readiness, Ready};
pub use sample::SampleError;
pub use snapshot::{Entry, Snapshot};
pub use view::View;
pub use wire::{Announced, WireError};

#[cfg(test)]
mod tests;
