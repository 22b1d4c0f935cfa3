//! On a real Kafka, which the test bed starts.

mod announcing;
mod appending;
mod conformance;
mod faults;
mod foreign_records;
mod interoperation;
mod place;
mod reading;
mod rows;
mod schema_registry;
mod security;
mod topics;
