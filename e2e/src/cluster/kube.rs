//! kubectl and helm on one namespace.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use forebay_testbed::Kubernetes;
use serde_json::Value;

use crate::stage::eventually;

/// How long Kubernetes may take for what was asked of it, on a machine that has much else to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);

/// A namespace of the cluster.
#[derive(Clone, Debug)]
pub(super) struct Kube {
    pub cluster: Arc<Kubernetes>,
    pub namespace: &'static str,
}

impl Kube {
    /// A namespace that is made, in which pods must keep to the restricted standard.
    pub async fn namespace(cluster: &Arc<Kubernetes>, namespace: &'static str) -> Kube {
        let kube = Kube {
            cluster: Arc::clone(cluster),
            namespace,
        };
        kube.kubectl(&["create", "namespace", namespace]).await;
        let standard = "pod-security.kubernetes.io/enforce=restricted";
        kube.kubectl(&["label", "namespace", namespace, standard]).await;
        kube
    }

    /// Runs kubectl in the namespace and gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub async fn kubectl(&self, words: &[&str]) -> String {
        self.try_kubectl(words).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same; an error is what was printed.
    pub async fn try_kubectl(&self, words: &[&str]) -> Result<String, String> {
        let mut command = self.cluster.kubectl();
        command.args(["--namespace", self.namespace]).args(words);
        output(command).await
    }

    /// Objects as kubectl prints them with `--output json`.
    pub async fn get(&self, words: &[&str]) -> Value {
        let words = [&["get", "--output", "json"], words].concat();
        serde_json::from_str(&self.kubectl(&words).await).expect("kubectl prints JSON")
    }

    /// Runs helm in the namespace and gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub async fn helm(&self, words: &[&str]) -> String {
        self.try_helm(words).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same; an error is what was printed.
    pub async fn try_helm(&self, words: &[&str]) -> Result<String, String> {
        let mut command = self.cluster.helm();
        command.args(["--namespace", self.namespace]).args(words);
        output(command).await
    }

    /// Waits until a Deployment has rolled out and has so many ready pods, and no others.
    pub async fn has_rolled_out(&self, deployment: &str) {
        let path = format!("deployment/{deployment}");
        self.kubectl(&["rollout", "status", &path, "--timeout", "240s"]).await;
    }

    /// Waits until a service has so many pods: ready ones, and none that are ending.
    pub async fn has_pods(&self, service: &str, count: usize) {
        eventually(PATIENCE, &format!("{service} has {count} pods"), async || {
            let pods = self.pods_of(service).await;
            match pods.len() == count && pods.iter().all(|pod| pod.ready && !pod.ending) {
                true => Ok(()),
                false => Err(format!("{pods:?}")),
            }
        })
        .await;
    }

    /// Waits until no Deployment of the namespace has a pod that is not ready, or one too many.
    pub async fn is_settled(&self) {
        eventually(PATIENCE, "all pods are ready", async || {
            let pods = self.pods().await;
            match pods.iter().all(|pod| pod.ready && !pod.ending) {
                true => Ok(()),
                false => Err(format!("{pods:?}")),
            }
        })
        .await;
    }
}

/// Runs a command to its end without holding up the runtime. Gives its standard output, or else all that it said.
async fn output(mut command: Command) -> Result<String, String> {
    let work = tokio::task::spawn_blocking(move || {
        let shown = shown(&command);
        let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(format!("$ {shown}\n{}{}", text(&output.stdout), text(&output.stderr))),
        }
    });
    work.await.expect("no panic")
}

/// A command as one types it.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
