//! The suites that every backend of a seam runs in full: one function per trait, given a way to make an empty store. They panic where a backend fails.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used)]

mod offline;
pub mod schemas;

pub use offline::offline_store;
