//! On a real Kafka, which the test bed starts.

mod announcing;
mod conformance;
mod faults;
mod foreign_records;
mod place;
mod retold;
mod rows;
mod topics;
