//! The read side of Confluent's schema registry API, so that Kafka's tools read and write the row topics as they are.
//!
//! A row topic has one subject, `<topic>-value`, and that a version for every layout of its group. Nothing is registered here: schemas follow the
//! definitions. The keys of records are text, so there are no subjects of keys.

mod answer;
mod endpoints;
mod same_schema;
mod subjects;

pub use answer::{Fault, SchemaJson};
pub use endpoints::routes;
