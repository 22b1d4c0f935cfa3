//! Kubernetes with one node on this machine: the control plane, containerd, kubelet, kube-proxy and CoreDNS, as plain processes.
//!
//! It needs root, Debian's containerd, runc, containernetworking-plugins, iptables, iproute2, openssl, gcc and libc6-dev, and Go for the first build. It has no
//! enforcement of NetworkPolicies, no Ingress controller, no load balancer, no metrics-server and no volumes made on demand.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

use crate::cassandra::temporary;
use crate::{Error, Port, checkout, command, download};

/// The address of the pods' bridge: this machine as pods see it.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

/// What `up.sh` asks ports for.
const PORTS: usize = 9;

/// What must be installed, and the package that has it.
const NEEDED: [(&str, &str); 6] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("openssl", "openssl"),
    ("gcc", "gcc libc6-dev containernetworking-plugins"),
];

/// A running cluster. It ends, with all its pods, when this is dropped, and with this process in any case.
#[derive(Debug)]
pub struct Kubernetes {
    /// kubeconfigs, logs, containerd's socket.
    folder: PathBuf,
    /// Of its programs.
    programs: PathBuf,
    /// helm.
    tools: PathBuf,
    _running: Running,
}

/// Brings the cluster down when it is dropped.
#[derive(Debug)]
struct Running {
    runner: Child,
    /// The cluster runs while this is open.
    open: Option<ChildStdin>,
    _folder: TempDir,
    _ports: Vec<Port>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.open = None;
        let _ = self.runner.wait();
    }
}

impl Kubernetes {
    /// Starts a cluster and waits until its node is ready.
    ///
    /// # Errors
    /// When something that it needs is missing, another cluster runs on this machine, or a part of it does not start.
    pub fn start() -> Result<Kubernetes, Error> {
        let programs = programs()?;
        let tools = tools()?;
        for (program, package) in NEEDED {
            if !is_installed(program) {
                return Err(Error::Missing {
                    program,
                    hint: format!("on Debian `apt-get install {package}`"),
                });
            }
        }
        let folder = temporary()?;
        let ports = (0..PORTS).map(|_| Port::take()).collect::<Result<Vec<_>, _>>()?;
        let numbers: Vec<_> = ports.iter().map(|port| port.number.to_string()).collect();
        let mut runner = Command::new("bash");
        runner
            .arg(scripts().join("run.sh"))
            .env("BIN", &programs)
            .env("FOLDER", folder.path())
            .env("PORTS", numbers.join(" "))
            .env("POD_NET", "10.244.0")
            .env("LOCK", download::cache().join("kubernetes.lock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal ends us, and the cluster then comes down.
            .process_group(0);
        let started = |source| Error::Start {
            command: "testbed/kubernetes/run.sh".to_owned(),
            source,
        };
        let mut runner = runner.spawn().map_err(started)?;
        let open = runner.stdin.take();
        let mut said = String::new();
        if let Some(output) = runner.stdout.take() {
            BufReader::new(output).read_line(&mut said).map_err(started)?;
        }
        let mut errors = runner.stderr.take();
        let up = said.trim() == "up";
        let path = folder.path().to_owned();
        let running = Running {
            runner,
            open,
            _folder: folder,
            _ports: ports,
        };
        if !up {
            drop(running);
            let mut log = String::new();
            if let Some(errors) = &mut errors {
                let _ = errors.read_to_string(&mut log);
            }
            return Err(Error::NotReady {
                server: "Kubernetes",
                log,
            });
        }
        Ok(Kubernetes {
            folder: path,
            programs,
            tools,
            _running: running,
        })
    }

    /// This machine as pods see it, and as nobody beyond it does. Servers that pods are to reach listen there.
    pub fn gateway(&self) -> Ipv4Addr {
        GATEWAY
    }

    /// What the cluster keeps: kubeconfigs, logs, containers. It goes with the cluster.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// `kubectl`, as administrator.
    pub fn kubectl(&self) -> Command {
        self.administrator(&self.programs.join("kubectl"))
    }

    /// `helm`, as administrator.
    pub fn helm(&self) -> Command {
        let mut command = self.administrator(&self.tools.join("helm"));
        // Nothing of the user's own.
        for (variable, folder) in [
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_DATA_HOME", "data"),
        ] {
            command.env(variable, self.folder.join("helm").join(folder));
        }
        command
    }

    fn administrator(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", self.kubeconfig()).stdin(Stdio::null());
        command
    }

    /// containerd's `ctr`, on the node's images and containers.
    pub fn ctr(&self) -> Command {
        let mut command = Command::new("ctr");
        command
            .arg("--address")
            .arg(self.folder.join("containerd.sock"))
            .args(["--namespace", "k8s.io"])
            .stdin(Stdio::null());
        command
    }

    /// Makes the images of an archive, as `docker save` writes it, known to the node.
    ///
    /// # Errors
    /// When containerd refuses the archive.
    pub fn import(&self, archive: &Path) -> Result<(), Error> {
        output(self.ctr().args(["images", "import"]).arg(archive)).map(drop)
    }

    /// Gives an image that the node has, such as `forebay/registry:1`, another tag too.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn tag(&self, image: &str, tag: &str) -> Result<(), Error> {
        let names = output(self.ctr().args(["images", "ls", "--quiet"]))?;
        // containerd knows them with a registry before their name.
        let name = names.lines().find(|name| name.ends_with(&format!("/{image}")));
        let (name, repository) = name
            .and_then(|name| Some((name, name.rsplit_once(':')?.0)))
            .ok_or_else(|| Error::Failed {
                command: format!("looking for the image {image}"),
                output: names.clone(),
            })?;
        output(
            self.ctr()
                .args(["images", "tag", "--force", name, &format!("{repository}:{tag}")]),
        )
        .map(drop)
    }

    /// The process of a running container, as this machine counts processes.
    ///
    /// # Errors
    /// When the container does not run.
    pub fn process_of(&self, container: &str) -> Result<u32, Error> {
        let tasks = output(self.ctr().args(["tasks", "ls"]))?;
        let process = tasks
            .lines()
            .find(|line| line.starts_with(container))
            .and_then(|line| line.split_whitespace().nth(1))
            .and_then(|process| process.parse().ok());
        process.ok_or_else(|| Error::Failed {
            command: format!("looking for the container {container}"),
            output: tasks,
        })
    }
}

/// Runs a command to its end and gives its standard output.
fn output(command: &mut Command) -> Result<String, Error> {
    let shown = format!("{command:?}");
    command::run(command, &shown)
}

fn is_installed(program: impl AsRef<OsStr>) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian keeps those of administrators, which is on root's path only after a login.
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program.as_ref()).exists())
}

fn scripts() -> PathBuf {
    checkout().join("testbed/kubernetes")
}

/// The folder of Kubernetes' programs, built by the first call of a machine.
fn programs() -> Result<PathBuf, Error> {
    let build = include_str!("../kubernetes/build.sh").to_owned() + include_str!("../kubernetes/kube/go.mod");
    download::filled_by("kubernetes", &build, &scripts().join("build.sh"))
}

/// The folder of helm.
fn tools() -> Result<PathBuf, Error> {
    let fetch = include_str!("../kubernetes/tools.sh");
    download::filled_by("kubernetes-tools", fetch, &scripts().join("tools.sh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_is_installed() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program"));
    }
}
