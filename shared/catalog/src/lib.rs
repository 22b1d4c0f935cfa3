//! A service's own copy of the registry: one immutable [`Snapshot`] per registry revision, swapped in whole, so that a request sees one revision from
//! its beginning to its end and never waits for the registry.

mod catalog;
mod group;
mod per_revision;
mod snapshot;

pub use catalog::Catalog;
pub use group::Group;
pub use per_revision::PerRevision;
pub use snapshot::{Registered, Snapshot, View};
