//! Forebay's services in one process, over Cassandra and its own row log.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use forebay_storage_cassandra::{CassandraConfig, migrate};
use forebay_testbed::{Port, Supervised};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{data::FEATURES, over_http::requests};

/// A running process. It ends when this is dropped.
pub struct Forebay {
    process: Supervised,
    reads: String,
    writes: String,
    _port: Port,
    _folder: TempDir,
}

impl Forebay {
    /// Starts the program that `FOREBAY_BIN` names and registers the group, which has no tables in a lake.
    pub async fn start(config: &CassandraConfig, threads: usize, client: &reqwest::Client) -> Self {
        let program =
            std::env::var_os("FOREBAY_BIN").expect("FOREBAY_BIN names the program `forebay`, built with --release");
        migrate(config, None).await.expect("migrated");
        let folder = tempfile::tempdir().expect("a folder");
        let port = Port::take().expect("a port");
        let mut command = Command::new(program);
        command.arg("serve").args(["--listen", &port.address().to_string()]);
        command.arg("--data-dir").arg(folder.path().join("data"));
        for (name, value) in settings(config, threads) {
            command.env(format!("FOREBAY_{name}"), value);
        }
        let log = folder.path().join("log");
        let process = Supervised::start(&command, &log, folder.path()).expect("it starts");
        let url = format!("http://{}", port.address());
        let forebay = Self {
            process,
            reads: format!("{url}/v1/online-features"),
            writes: format!("{url}/v1/rows/bench.prices?wait=online&timeout=30s"),
            _port: port,
            _folder: folder,
        };
        let readyz = || client.get(format!("{url}/readyz"));
        until("it is ready", async || {
            readyz().send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        let applied = client
            .post(format!("{url}/v1/apply"))
            .json(&definitions())
            .send()
            .await
            .expect("an answer");
        let status = applied.status();
        assert_eq!(status, 200, "{}", applied.text().await.unwrap_or_default());
        let ask = || client.post(&forebay.reads).header("content-type", "application/json");
        until("the group is ready", async || {
            let asked = ask().body(requests::read(&[1])).send().await;
            asked.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        forebay
    }

    pub fn reads(&self) -> &str {
        &self.reads
    }

    /// Answers when the rows can be read.
    pub fn writes(&self) -> &str {
        &self.writes
    }

    pub fn process(&self) -> u32 {
        self.process.id()
    }
}

fn settings(config: &CassandraConfig, threads: usize) -> [(&'static str, String); 9] {
    [
        ("CASSANDRA__CONTACT_POINTS", config.contact_points.join(",")),
        ("CASSANDRA__KEYSPACE", config.keyspace.clone()),
        ("CASSANDRA__REPLICATION_FACTOR", config.replication_factor.to_string()),
        ("CASSANDRA__CONNECTIONS", config.connections.to_string()),
        ("CASSANDRA__CONCURRENT_READS", config.concurrent_reads.to_string()),
        ("CASSANDRA__CONCURRENT_WRITES", config.concurrent_writes.to_string()),
        (
            "CASSANDRA__SPECULATIVE_AFTER_MS",
            config.speculative_after_ms.to_string(),
        ),
        ("RUNTIMES__SERVING_THREADS", threads.to_string()),
        ("RUNTIMES__WORK_THREADS", threads.to_string()),
    ]
}

fn definitions() -> Value {
    let features: Vec<Value> = (0..FEATURES)
        .map(|feature| json!({"name": format!("f{feature}"), "type": "float64"}))
        .collect();
    json!({"objects": [
        {"kind": "Domain", "name": "bench"},
        {"kind": "Entity", "name": "product", "domain": "bench", "keys": [{"name": "product_id", "type": "int64"}]},
        {"kind": "FeatureGroup", "name": "bench.prices", "entities": ["product"], "stores": ["online"], "features": features}
    ]})
}

pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(
            begin.elapsed() < Duration::from_secs(120),
            "{what}: not within two minutes"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
