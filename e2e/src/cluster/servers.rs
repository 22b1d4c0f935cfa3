//! What the platform runs beside the cluster: Cassandra, Kafka and an object store, at the address that pods reach.

use std::net::Ipv4Addr;

use forebay_testbed::{Cassandra, CassandraOptions, CommitlogSync, Kafka, KafkaOptions, S3, S3Address, S3Options};

/// The README's bucket, besides the one that all tests have.
const README_BUCKET: &str = "features";

/// One of each. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Servers {
    pub cassandra: Cassandra,
    pub kafka: Kafka,
    pub s3: S3,
}

impl Servers {
    /// Starts them side by side; blocks.
    ///
    /// # Panics
    /// When one does not start.
    pub fn start(listen: Ipv4Addr) -> Servers {
        std::thread::scope(|scope| {
            let cassandra = scope.spawn(|| {
                Cassandra::start(CassandraOptions {
                    listen,
                    commitlog_sync: CommitlogSync::Periodic,
                    ..CassandraOptions::shared()
                })
                .expect("Cassandra starts")
            });
            let kafka = scope.spawn(|| {
                Kafka::start(KafkaOptions {
                    listen,
                    ..KafkaOptions::default()
                })
                .expect("Kafka starts")
            });
            let s3 = S3::start(S3Options {
                listen,
                buckets: vec![S3Address::BUCKET.to_owned(), README_BUCKET.to_owned()],
            })
            .expect("the S3 server starts");
            Servers {
                cassandra: cassandra.join().expect("Cassandra starts"),
                kafka: kafka.join().expect("Kafka starts"),
                s3,
            }
        })
    }
}
