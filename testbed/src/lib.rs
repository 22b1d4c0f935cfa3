//! Real servers for tests: Apache Cassandra, Apache Kafka and an S3 server, each started in a folder and on ports of its own, on 127.0.0.1 unless another
//! address of this machine is asked for.
//!
//! [`cassandra`], [`kafka`] and [`s3`] give the address of one server that all tests of a process share: the one that `FOREBAY_TEST_CASSANDRA`,
//! `FOREBAY_TEST_KAFKA` or `FOREBAY_TEST_S3` names (`cargo xtask test` and `cargo xtask servers` set them), or else one that is started at the first call.
//! Tests that share a server keep to keyspaces, topics and prefixes of their own.
//!
//! Tests that kill, pause or restart a server start their own with [`Cassandra::start`], [`Kafka::start`] or [`S3::start`]. What a server wrote is kept
//! until its handle is dropped. No server outlives the process that started it, however that ended.
//!
//! [`Kubernetes`] is a cluster of one node, whose pods reach servers that listen at its gateway.
//!
//! All calls block; starting takes up to half a minute, and several minutes when the programs are fetched for the first time.

mod authority;
mod cassandra;
mod checkout;
mod command;
mod download;
mod error;
mod java;
mod kafka;
mod kubernetes;
mod port;
mod python;
mod s3;
mod server;
mod shared;
mod supervised;

pub use authority::{Authority, Certified};
pub use cassandra::{Cassandra, CassandraOptions, CommitlogSync};
pub use checkout::checkout;
pub use error::Error;
pub use kafka::{Broker, Kafka, KafkaOptions, KafkaSecurity};
pub use kubernetes::Kubernetes;
pub use port::Port;
pub use python::Python;
pub use s3::{S3, S3Address, S3Options};
pub use shared::{cassandra, kafka, s3};
pub use supervised::Supervised;
