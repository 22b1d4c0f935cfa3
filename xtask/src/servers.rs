//! One Cassandra, one Kafka and one S3 server for many tests: `cargo xtask servers`, and all along `cargo xtask test`.

use forebay_testbed::{Cassandra, CassandraOptions, Error as TestbedError, Kafka, KafkaOptions, S3, S3Options};

use crate::shell::Error;

const CASSANDRA: &str = "FOREBAY_TEST_CASSANDRA";
const KAFKA: &str = "FOREBAY_TEST_KAFKA";
const S3_ENDPOINT: &str = "FOREBAY_TEST_S3";

/// The servers that were started. They end when this is dropped, and with this process in any case.
pub struct Servers {
    cassandra: Option<Cassandra>,
    kafka: Option<Kafka>,
    s3: Option<S3>,
}

impl Servers {
    /// Starts those that no variable names yet, side by side.
    pub fn start() -> Result<Servers, Error> {
        println!("starting Cassandra, Kafka and an S3 server; the first time their programs are fetched");
        std::thread::scope(|scope| {
            let cassandra = scope.spawn(|| unless_named(CASSANDRA, || Cassandra::start(CassandraOptions::shared())));
            let kafka = scope.spawn(|| unless_named(KAFKA, || Kafka::start(KafkaOptions::default())));
            let s3 = scope.spawn(|| unless_named(S3_ENDPOINT, || S3::start(S3Options::default())));
            Ok(Servers {
                cassandra: joined(cassandra)?,
                kafka: joined(kafka)?,
                s3: joined(s3)?,
            })
        })
    }

    /// The variables by which tests find the servers that were started.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let cassandra = self
            .cassandra
            .as_ref()
            .map(|server| (CASSANDRA, server.address().to_string()));
        let kafka = self.kafka.as_ref().map(|server| (KAFKA, server.addresses()));
        let s3 = self.s3.as_ref().map(|server| (S3_ENDPOINT, server.address().endpoint));
        [cassandra, kafka, s3].into_iter().flatten().collect()
    }
}

/// Starts the servers, prints the variables and runs until somebody ends it.
pub fn run() -> Result<(), Error> {
    let servers = Servers::start()?;
    for (name, value) in servers.variables() {
        println!("export {name}={value}");
    }
    println!("The servers run until this ends (Ctrl-C).");
    loop {
        std::thread::park();
    }
}

fn unless_named<S>(variable: &str, start: impl FnOnce() -> Result<S, TestbedError>) -> Result<Option<S>, TestbedError> {
    match std::env::var_os(variable) {
        Some(_) => Ok(None),
        None => start().map(Some),
    }
}

fn joined<S>(start: std::thread::ScopedJoinHandle<'_, Result<S, TestbedError>>) -> Result<S, Error> {
    let started = start.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    started.map_err(|error| Error::Other(error.to_string()))
}
