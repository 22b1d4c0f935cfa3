//! The README's part on Kubernetes, followed word by word: its blocks are taken from the file and run as they stand.
//!
//! What the reader brings is brought here: `cassandra`, `kafka` and `s3` are Services that point to the servers beside the cluster, a volume is made by hand,
//! the images are there. One thing differs: the node has few cores, so that `helm` is told to ask for little of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use forebay_testbed::{Kubernetes, S3Address, checkout};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::World;
use super::evaluation::volume;
use super::kube::{Kube, PATIENCE};
use super::servers::Servers;
use crate::binary;
use crate::http::Http;
use crate::stage::eventually;

const README: &str = include_str!("../../../README.md");

/// The part's heading.
const PART: &str = "## On Kubernetes";

/// The namespaces that its blocks make.
const TRIAL: &str = "forebay-trial";
const SUITE: &str = "forebay";

/// Ends what a block leaves running in the background.
const BEFORE: &str = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n";

pub(super) async fn play(world: &mut World) {
    let blocks = blocks();
    let step = "README: its part on Kubernetes has two blocks";
    if world
        .report
        .step(step, async { assert_eq!(blocks.len(), 2) })
        .await
        .is_none()
    {
        return;
    }
    let desk = Desk::new(&world.cluster);
    let cluster = world.cluster.clone();
    let (trial, suite) = (kube(&cluster, TRIAL), kube(&cluster, SUITE));

    volume(&trial, "readme").await;
    let tried = async {
        // Otherwise the commands would talk to somebody else's server.
        std::net::TcpListener::bind("127.0.0.1:7070").expect("the port of the first steps is free");
        let said = desk.run(blocks[0].clone()).await;
        assert!(said.contains("Recife"), "{said}");
    };
    world.report.step("README: the trial in one pod", tried).await;
    uninstall(world, &trial).await;

    let step = "README: the suite over servers by name";
    let (first, rest) = blocks[1].split_once('\n').expect("several lines");
    let servers = &world.servers;
    let said = world
        .report
        .step(step, async {
            desk.run(first.to_owned()).await;
            name_servers(&suite, servers).await;
            desk.run(rest.to_owned()).await
        })
        .await;
    if let Some(said) = said {
        eprintln!("{said}");
        world
            .report
            .step("README: the suite answers", suite_answers(&suite))
            .await;
    } else {
        eprintln!("{}", suite.logs().await);
    }
    uninstall(world, &suite).await;
    world.report.untested(
        "README's image.registry",
        "no registry: images are loaded into the node under the names that the chart has",
    );
}

fn kube(cluster: &Arc<Kubernetes>, namespace: &'static str) -> Kube {
    Kube {
        cluster: Arc::clone(cluster),
        namespace,
    }
}

/// The shell blocks of the part.
fn blocks() -> Vec<String> {
    let part = README.split_once(PART).map_or("", |(_, part)| part);
    let part = part.split("\n## ").next().unwrap_or_default();
    let blocks = part.split("```sh\n").skip(1);
    blocks
        .filter_map(|block| Some(block.split_once("```")?.0.to_owned()))
        .collect()
}

/// Where the reader types: a folder with the checkout's files, and the programs on the path.
struct Desk {
    folder: PathBuf,
    path: String,
    kubeconfig: PathBuf,
}

impl Desk {
    fn new(cluster: &Kubernetes) -> Desk {
        let folder = cluster.folder().join("desk");
        let programs = folder.join("bin");
        std::fs::create_dir_all(&programs).expect("a folder");
        for name in ["charts", "examples"] {
            symlink(checkout().join(name), folder.join(name)).expect("a link");
        }
        symlink(binary::forebay(), programs.join("forebay")).expect("a link");
        symlink(cluster.kubectl().get_program(), programs.join("kubectl")).expect("a link");
        let little: String = ["registry", "compute", "ingestion", "online-serving", "offline-query"]
            .iter()
            .map(|service| format!("services.{service}.resources.requests.cpu=20m,"))
            .collect();
        let helm = programs.join("helm");
        let script = format!(
            "#!/bin/sh\ncase $1 in install) set -- \"$@\" --set {little}evaluation.resources.requests.cpu=50m ;; esac\nexec {} \"$@\"\n",
            cluster.helm().get_program().display()
        );
        std::fs::write(&helm, script).expect("a script");
        std::fs::set_permissions(&helm, PermissionsExt::from_mode(0o755)).expect("a script");
        Desk {
            path: format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default()),
            kubeconfig: cluster.kubeconfig(),
            folder,
        }
    }

    /// Runs lines as a shell does that stops at the first error. Gives what was printed.
    async fn run(&self, lines: String) -> String {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &format!("{BEFORE}{lines}")])
            .current_dir(&self.folder)
            .env("PATH", &self.path)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("S3_ACCESS_KEY", S3Address::ACCESS_KEY)
            .env("S3_SECRET_KEY", S3Address::SECRET_KEY)
            .env_remove("FOREBAY_URL")
            .stdin(Stdio::null());
        let ran = tokio::task::spawn_blocking(move || bash.output())
            .await
            .expect("no panic");
        let output = ran.expect("bash runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{lines}\n{said}");
        said
    }
}

/// Services without pods, whose endpoints are the servers. These listen elsewhere; here they are at the ports that everybody knows them by, since Cassandra's
/// drivers take it that all nodes have the port of the one that they were told of.
async fn name_servers(kube: &Kube, servers: &Servers) {
    let gateway = kube.cluster.gateway();
    let s3 = servers.s3.address().endpoint;
    let names = [
        ("cassandra", 9042, servers.cassandra.address()),
        ("kafka", 9092, servers.kafka.brokers()[0].address()),
        (
            "s3",
            9000,
            s3.trim_start_matches("http://").parse().expect("an address"),
        ),
    ];
    let mut objects = Vec::new();
    for (name, port, server) in names {
        pass_on(gateway, port, server).await;
        objects.push(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": [{"name": name, "port": port}]},
        }));
        objects.push(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": name, "port": port}],
            "endpoints": [{"addresses": [gateway], "conditions": {"ready": true}}],
        }));
    }
    apply(
        kube,
        "servers",
        &json!({"apiVersion": "v1", "kind": "List", "items": objects}),
    )
    .await;
}

/// Passes connections to this port of the gateway on to a server, to the end of the process.
async fn pass_on(gateway: Ipv4Addr, port: u16, server: SocketAddr) {
    let listener = TcpListener::bind((gateway, port)).await.expect("the port is free");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(server).await {
                    // It ends as either side does.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
}

/// Applies an object.
pub(super) async fn apply(kube: &Kube, name: &str, object: &Value) {
    let file = kube.cluster.folder().join(format!("{name}.json"));
    std::fs::write(&file, object.to_string()).expect("a file");
    kube.kubectl(&["apply", "--filename", &file.display().to_string()])
        .await;
}

/// The registry of the suite takes definitions, through its Service.
async fn suite_answers(kube: &Kube) {
    let service = kube.get(&["service", "forebay-registry"]).await;
    let address = service["spec"]["clusterIP"].as_str().expect("an address");
    let http = Http::new(format!("http://{address}:8080"));
    eventually(PATIENCE, "the registry answers", async || {
        let answer = http.try_send("GET", "/v1/info", &[], Vec::new()).await;
        match answer {
            Ok(answer) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn uninstall(world: &mut World, kube: &Kube) {
    let step = format!("README: {} is taken away again", kube.namespace);
    let away = async {
        kube.helm(&["uninstall", "forebay", "--wait", "--timeout", "300s"])
            .await;
        kube.kubectl(&["delete", "namespace", kube.namespace, "--timeout=120s"])
            .await;
    };
    world.report.step(&step, away).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_its_blocks() {
        let blocks = blocks();
        assert_eq!(blocks.len(), 2, "{blocks:?}");
        assert!(
            blocks
                .iter()
                .all(|block| block.starts_with("kubectl create namespace "))
        );
    }
}
