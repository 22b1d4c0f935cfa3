//! On a real Kafka, which the test bed starts.

mod conformance;
mod place;
