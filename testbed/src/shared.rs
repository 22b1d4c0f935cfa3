//! One server of each kind for all tests of a process.

use std::sync::OnceLock;

use crate::{Cassandra, CassandraOptions, Error, Kafka, KafkaOptions, S3, S3Address, S3Options};

/// Either somebody else's, or ours. Ours ends with this process.
struct Shared<S, A> {
    address: A,
    _server: Option<S>,
}

/// Where Cassandra takes CQL, such as `127.0.0.1:20001`.
///
/// # Panics
/// When it cannot be started.
pub fn cassandra() -> &'static str {
    static SHARED: OnceLock<Shared<Cassandra, String>> = OnceLock::new();
    let start = || Cassandra::start(CassandraOptions::shared()).map(|server| (server.address().to_string(), server));
    &SHARED
        .get_or_init(|| shared("FOREBAY_TEST_CASSANDRA", |address| address, start))
        .address
}

/// Kafka's `bootstrap.servers`, such as `127.0.0.1:20001`: one broker.
///
/// # Panics
/// When it cannot be started.
pub fn kafka() -> &'static str {
    static SHARED: OnceLock<Shared<Kafka, String>> = OnceLock::new();
    let start = || Kafka::start(KafkaOptions::default()).map(|server| (server.addresses(), server));
    &SHARED
        .get_or_init(|| shared("FOREBAY_TEST_KAFKA", |address| address, start))
        .address
}

/// The S3 server, with a bucket `forebay`. `FOREBAY_TEST_S3` is its endpoint, such as `http://127.0.0.1:20001`.
///
/// # Panics
/// When it cannot be started.
pub fn s3() -> &'static S3Address {
    static SHARED: OnceLock<Shared<S3, S3Address>> = OnceLock::new();
    let start = || S3::start(S3Options::default()).map(|server| (server.address(), server));
    &SHARED
        .get_or_init(|| shared("FOREBAY_TEST_S3", |endpoint| S3Address { endpoint }, start))
        .address
}

fn shared<S, A>(
    variable: &str,
    named: impl FnOnce(String) -> A,
    start: impl FnOnce() -> Result<(A, S), Error>,
) -> Shared<S, A> {
    if let Ok(address) = std::env::var(variable) {
        return Shared {
            address: named(address),
            _server: None,
        };
    }
    match start() {
        Ok((address, server)) => Shared {
            address,
            _server: Some(server),
        },
        // A test that needs a server has it or fails.
        Err(error) => panic!("{error}\n(or start one and set {variable})"),
    }
}
