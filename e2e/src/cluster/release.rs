//! The chart, installed as `forebay` over the servers beside the cluster.

use std::path::PathBuf;

use forebay_testbed::{S3Address, checkout};
use serde_json::{Value, json};

use super::kube::Kube;
use super::servers::Servers;
use crate::collector::Collector;

/// Its name; that of its objects begins with it.
pub(super) const RELEASE: &str = "forebay";

/// The services, and with them the Deployments `forebay-<service>`.
pub(super) const SERVICES: [&str; 5] = ["registry", "compute", "ingestion", "online-serving", "offline-query"];

/// How many copies there are of each service.
pub(super) const COPIES: usize = 2;

/// How long helm waits for what it does.
const TIMEOUT: &str = "600s";

/// The chart in the checkout.
pub(super) fn chart() -> PathBuf {
    checkout().join("charts/forebay")
}

/// A release of the chart and the values that it is installed with.
#[derive(Debug)]
pub(super) struct Release {
    pub kube: Kube,
    /// `registry.environment`, which is in the names of keyspace, topics and lake folder.
    pub environment: String,
    values: Value,
    file: PathBuf,
}

impl Release {
    /// Prepares the values of the suite for a node of a few cores.
    pub fn suite(kube: Kube, servers: &Servers, collector: &Collector, tag: &str) -> Release {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let environment = format!("t{}", &unique[..8]);
        let small = |memory: &str| json!({"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": memory}});
        let values = json!({
            "mode": "suite",
            "allowUnauthenticated": true,
            "image": {"tag": tag, "pullPolicy": "Never"},
            "config": {
                "registry": {"environment": environment},
                "telemetry": {"otlp_endpoint": collector.endpoint, "export_interval": "500ms"},
                "cassandra": {"contact_points": [servers.cassandra.address()], "replication_factor": 1},
                // A query as known now waits until no row can appear any more below that moment, which takes this bound and the clocks' tolerance.
                "kafka": {
                    "brokers": [servers.kafka.addresses()],
                    "partitions": 3,
                    "delivery_bound_ms": 1000,
                    "clock_tolerance_ms": 200,
                },
                "offline_query": {"settle_ms": 20000},
                // A slow machine is no reason to fail.
                "online_serving": {"store_deadline_ms": 10000},
                "lake": {
                    "root": format!("s3://{}/cluster", S3Address::BUCKET),
                    "s3": {"endpoint": servers.s3.address().endpoint, "allow_http": true, "region": S3Address::REGION},
                },
            },
            "credentials": {"values": {"lake": {"s3": {
                "access_key_id": S3Address::ACCESS_KEY,
                "secret_access_key": S3Address::SECRET_KEY,
            }}}},
            "services": {
                "registry": {"resources": small("1Gi")},
                "compute": {"resources": small("2Gi")},
                "ingestion": {"resources": small("2Gi")},
                "online-serving": {"resources": small("512Mi")},
                "offline-query": {"resources": small("2Gi"), "draining": {"deadlineSeconds": 25}},
            },
            "service": {"type": "NodePort"},
            "ingress": {"enabled": true},
        });
        Release {
            file: kube.cluster.folder().join("values.json"),
            kube,
            environment,
            values,
        }
    }

    /// Changes a value, such as `image.tag`, from the next installation or upgrade on.
    pub fn set(&mut self, path: &str, value: Value) {
        let place = path
            .split('.')
            .fold(&mut self.values, |values, field| &mut values[field]);
        *place = value;
    }

    /// The value at a path, null where there is none.
    pub fn get(&self, path: &str) -> Value {
        let place = path.split('.').fold(&self.values, |values, field| &values[field]);
        place.clone()
    }

    pub async fn install(&self) -> String {
        let installed = self.helm("install", TIMEOUT).await;
        installed.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn upgrade(&self) -> String {
        let upgraded = self.try_upgrade(TIMEOUT).await;
        upgraded.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same within this time, such as `60s`; an error is what helm printed.
    pub async fn try_upgrade(&self, timeout: &str) -> Result<String, String> {
        self.helm("upgrade", timeout).await
    }

    async fn helm(&self, verb: &str, timeout: &str) -> Result<String, String> {
        std::fs::write(&self.file, self.values.to_string()).expect("a values file");
        let (chart, values) = (chart().display().to_string(), self.file.display().to_string());
        let words = [
            verb,
            RELEASE,
            &chart,
            "--values",
            &values,
            "--wait",
            "--timeout",
            timeout,
        ];
        self.kube.try_helm(&words).await
    }

    /// Back to the revision before.
    pub async fn rollback(&self) -> String {
        self.kube
            .helm(&["rollback", RELEASE, "--wait", "--timeout", TIMEOUT])
            .await
    }

    pub async fn uninstall(&self) -> String {
        self.kube
            .helm(&["uninstall", RELEASE, "--wait", "--timeout", TIMEOUT])
            .await
    }
}
