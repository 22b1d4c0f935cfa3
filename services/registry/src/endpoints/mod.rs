//! One endpoint per file; what the lists and reads of all kinds share is in [`objects`].

pub mod apply;
pub mod changes;
pub mod delete_object;
pub mod domains;
pub mod entities;
pub mod features;
pub mod graph;
pub mod groups;
pub mod info;
mod objects;
pub mod plan;
pub mod search;
pub mod snapshot;
pub mod sources;
pub mod views;
