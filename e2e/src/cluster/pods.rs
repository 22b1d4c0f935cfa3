//! The pods of a release.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::kube::{Kube, PATIENCE};
use crate::http::Http;
use crate::stage::eventually;

/// The port that every service has.
const PORT: u16 = 8080;

/// A pod as the API describes it.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub name: String,
    pub address: Option<SocketAddr>,
    pub ready: bool,
    /// Whether it was told to end.
    pub ending: bool,
    /// containerd's name of its container.
    pub container: Option<String>,
    pub restarts: u64,
}

impl Pod {
    pub fn read(pod: &Value) -> Pod {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let status = &pod["status"];
        let container = &status["containerStatuses"][0];
        Pod {
            name: text(&pod["metadata"]["name"]),
            address: text(&status["podIP"])
                .parse::<IpAddr>()
                .ok()
                .map(|address| (address, PORT).into()),
            ready: is_ready(pod),
            ending: pod["metadata"]["deletionTimestamp"].is_string(),
            container: container["containerID"]
                .as_str()
                .and_then(|id| id.strip_prefix("containerd://"))
                .map(str::to_owned),
            restarts: container["restartCount"].as_u64().unwrap_or_default(),
        }
    }
}

/// Whether the pod's condition `Ready` is true.
pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

impl Kube {
    /// All pods of services; those of the migration are none.
    pub async fn pods(&self) -> Vec<Pod> {
        let selector = "app.kubernetes.io/component!=migration";
        self.listed(&["pods", "--selector", selector]).await
    }

    pub async fn pods_of(&self, service: &str) -> Vec<Pod> {
        let selector = format!("app.kubernetes.io/component={service}");
        self.listed(&["pods", "--selector", &selector]).await
    }

    async fn listed(&self, words: &[&str]) -> Vec<Pod> {
        let list = self.get(words).await;
        list["items"].as_array().into_iter().flatten().map(Pod::read).collect()
    }

    /// Takes a pod out of the API at once and kills it, as when its node is gone.
    pub async fn delete_at_once(&self, pod: &Pod) {
        self.kubectl(&[
            "delete",
            "pod",
            &pod.name,
            "--grace-period=0",
            "--force",
            "--wait=false",
        ])
        .await;
    }

    /// Asks the API to end a pod in good order, as draining its node does. An error is why it may not.
    pub async fn evict(&self, pod: &Pod) -> Result<(), String> {
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": self.namespace},
        });
        let file = self.cluster.folder().join("eviction.json");
        std::fs::write(&file, eviction.to_string()).expect("a file");
        let path = format!("/api/v1/namespaces/{}/pods/{}/eviction", self.namespace, pod.name);
        let words = ["create", "--raw", &path, "--filename", &file.display().to_string()];
        self.try_kubectl(&words).await.map(drop)
    }

    /// Kill -9 of the process of a pod's container. Returns how long the next process took from its start to its first 200 of `/readyz`, asked without
    /// pause; the system counts starts in hundredths of a second.
    pub async fn kill_process(&self, pod: &Pod) -> Duration {
        let process = self.process_of(pod).await;
        let killed = Command::new("kill").args(["-9", &process.to_string()]).status();
        assert!(killed.expect("kill runs").success());
        let address = pod.address.expect("an address");
        let http = Http::with_timeout(format!("http://{address}"), Duration::from_secs(1));
        let mut was_gone = false;
        let ready = loop {
            let answer = http.try_send("GET", "/readyz", &[], Vec::new()).await;
            if was_gone && answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                break uptime();
            }
            was_gone |= answer.is_err();
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        // The API hears of it a little later.
        let next = eventually(PATIENCE, "the container is started again", async || {
            let words = ["pod", pod.name.as_str()];
            let now = Pod::read(&self.get(&words).await);
            match now.restarts > pod.restarts && now.container.is_some() && now.container != pod.container {
                true => Ok(now),
                false => Err(format!("{now:?}")),
            }
        })
        .await;
        ready.saturating_sub(started(self.process_of(&next).await))
    }

    async fn process_of(&self, pod: &Pod) -> u32 {
        let container = pod.container.clone().expect("a container");
        let cluster = self.cluster.clone();
        let found = tokio::task::spawn_blocking(move || cluster.process_of(&container));
        found.await.expect("no panic").unwrap_or_else(|error| panic!("{error}"))
    }

    /// The last lines of all pods' logs, and of the containers before those that were started again.
    pub async fn logs(&self) -> String {
        let mut text = String::new();
        for pod in self.listed(&["pods"]).await {
            let mut ask = async |more: &[&str]| {
                let words = [&["logs", pod.name.as_str(), "--tail=40"], more].concat();
                let told = self.try_kubectl(&words).await.unwrap_or_else(|error| error);
                text += &format!("== {} {}\n{told}\n", pod.name, more.join(" "));
            };
            ask(&[]).await;
            if pod.restarts > 0 {
                ask(&["--previous"]).await;
            }
        }
        text
    }
}

/// Since the machine was started.
fn uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").expect("/proc/uptime");
    let seconds = text.split(' ').next().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs_f64(seconds.expect("seconds"))
}

/// When a process was started, since the machine was.
fn started(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // The program's name, in brackets, may hold anything; the start is the 20th field after it, in hundredths of a second.
    let ticks = stat
        .rsplit_once(')')
        .and_then(|(_, fields)| fields.split_whitespace().nth(19)?.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.expect("a start"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_was_started_before_now() {
        let (start, now) = (started(std::process::id()), uptime());
        assert!(
            start <= now && now < start + Duration::from_secs(3600),
            "{start:?} {now:?}"
        );
    }
}
