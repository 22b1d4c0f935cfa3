//! Apache Kafka: one to three brokers that are controllers too.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::cassandra::{class_path, temporary};
use crate::server::{Ready, Server, faults};
use crate::{Certified, Error, Port, command, download, java};

const POM: &str = include_str!("../servers/kafka/pom.xml");
const SETTINGS: &str = include_str!("../servers/kafka/server.properties");
const LOGGING: &str = include_str!("../servers/kafka/log4j2.yaml");

/// 16 bytes in URL-safe base64; any will do.
const CLUSTER: &str = "Zm9yZWJheS10ZXN0YmVkMQ";

/// How a cluster is started.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// The address of this machine that clients connect to, and that brokers tell them.
    pub listen: Ipv4Addr,
    /// 1 to 3. With three, topics have three replicas of which two must be in sync, and the cluster goes on without one broker.
    pub brokers: usize,
    /// Java's heap, MiB for each broker.
    pub heap_mib: u32,
    /// Further lines of `server.properties`.
    pub properties: Vec<(String, String)>,
    /// Two further listeners, for those who are let in.
    pub security: Option<KafkaSecurity>,
}

/// Whom the brokers know.
#[derive(Clone, Debug)]
pub struct KafkaSecurity {
    /// What brokers prove with who they are. Clients that its authority has certified are let in at [`Broker::for_certificates`].
    pub own: Certified,
    /// Users with their passwords, let in at [`Broker::for_passwords`]: over TLS, by SCRAM-SHA-256 or -512.
    pub users: Vec<(String, String)>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        KafkaOptions {
            listen: Ipv4Addr::LOCALHOST,
            brokers: 1,
            heap_mib: 384,
            properties: Vec::new(),
            security: None,
        }
    }
}

/// A running cluster. It ends, and its folder goes, when this is dropped.
#[derive(Debug)]
pub struct Kafka {
    brokers: Vec<Broker>,
    folder: TempDir,
}

/// One broker of a cluster.
#[derive(Debug)]
pub struct Broker {
    server: Server,
    port: Port,
    _controller_port: Port,
    for_passwords: Port,
    for_certificates: Port,
}

impl Kafka {
    /// Starts a cluster and waits until all brokers are ready.
    ///
    /// # Errors
    /// When Java or Maven is missing, or a broker does not start.
    pub fn start(options: KafkaOptions) -> Result<Kafka, Error> {
        let jars = download::jars("kafka", POM)?;
        let folder = temporary()?;
        let logging = folder.path().join("log4j2.yaml");
        std::fs::write(&logging, LOGGING).map_err(Error::file(&logging))?;
        let count = options.brokers.clamp(1, 3);
        let mut ports = Vec::new();
        for _ in 0..count {
            ports.push((Port::take_at(options.listen)?, Port::take()?));
        }
        let voters: Vec<_> = ports
            .iter()
            .zip(1..)
            .map(|((_, controller), id)| format!("{id}@{}", controller.address()))
            .collect();
        let java = Java::new(&options, &jars, &logging)?;
        let mut brokers = Vec::new();
        for ((port, controller_port), id) in ports.into_iter().zip(1..) {
            let node = folder.path().join(format!("broker{id}"));
            std::fs::create_dir(&node).map_err(Error::file(&node))?;
            let settings = SETTINGS
                .replace("@ID@", &format!("{id}"))
                .replace("@VOTERS@", &voters.join(","))
                .replace("@LISTEN@", &port.address().to_string())
                .replace("@CONTROLLER_PORT@", &controller_port.number.to_string())
                .replace("@FOLDER@", &node.display().to_string())
                .replace("@REPLICAS@", &count.to_string())
                .replace("@IN_SYNC@", &(count.div_ceil(2)).to_string());
            let (for_passwords, for_certificates) = (Port::take_at(options.listen)?, Port::take_at(options.listen)?);
            let mut more: String = options
                .properties
                .iter()
                .map(|(name, value)| format!("{name}={value}\n"))
                .collect();
            let mut users = [].as_slice();
            if let Some(security) = &options.security {
                let listeners = [&port, &controller_port, &for_passwords, &for_certificates].map(Port::address);
                more.push_str(&secured(&security.own, listeners));
                users = &security.users;
            }
            let path = node.join("server.properties");
            std::fs::write(&path, settings + &more).map_err(Error::file(&path))?;
            java.format(&path, users)?;
            let ready = Ready {
                listens: port.address(),
                says: "Kafka Server started",
            };
            brokers.push(Broker {
                server: Server::launch("Kafka", java.broker(&path), &node, folder.path(), ready)?,
                port,
                _controller_port: controller_port,
                for_passwords,
                for_certificates,
            });
        }
        for broker in &brokers {
            broker.server.wait()?;
        }
        Ok(Kafka { brokers, folder })
    }

    /// The brokers' addresses, separated by commas: Kafka's `bootstrap.servers`.
    pub fn addresses(&self) -> String {
        let addresses: Vec<_> = self.brokers.iter().map(|broker| broker.address().to_string()).collect();
        addresses.join(",")
    }

    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// The topics that brokers keep partitions of, Kafka's own apart.
    ///
    /// # Errors
    /// When a broker's folder cannot be read.
    pub fn topics(&self) -> Result<Vec<String>, Error> {
        let mut names = BTreeSet::new();
        for id in 1..=self.brokers.len() {
            let data = self.folder.path().join(format!("broker{id}/data"));
            for folder in std::fs::read_dir(&data).map_err(Error::file(&data))?.flatten() {
                let name = folder.file_name().to_string_lossy().into_owned();
                // `<topic>-<partition>`; one that is being deleted is `<topic>-<partition>.<id>-delete`.
                if let Some((topic, partition)) = name.rsplit_once('-')
                    && partition.parse::<u32>().is_ok()
                    && !topic.starts_with("__")
                {
                    names.insert(topic.to_owned());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Ends all brokers with kill -9. Their data stay.
    pub fn kill(&self) {
        self.brokers.iter().for_each(Broker::kill);
    }

    /// Starts all brokers again on their data, after kill -9 of those that run, at the same addresses.
    ///
    /// # Errors
    /// When one does not start.
    pub fn restart(&self) -> Result<(), Error> {
        self.kill();
        // A broker is ready only with a majority of the controllers.
        std::thread::scope(|scope| {
            let starts: Vec<_> = self
                .brokers
                .iter()
                .map(|broker| scope.spawn(|| broker.restart()))
                .collect();
            starts
                .into_iter()
                .try_for_each(|start| start.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    /// Stops all brokers in their tracks: connections stay open and hang.
    pub fn pause(&self) {
        self.brokers.iter().for_each(Broker::pause);
    }

    /// Lets all brokers go on.
    pub fn resume(&self) {
        self.brokers.iter().for_each(Broker::resume);
    }
}

impl Broker {
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where users with passwords are let in, if [`KafkaOptions::security`] names some.
    pub fn for_passwords(&self) -> SocketAddr {
        self.for_passwords.address()
    }

    /// Where clients with certificates are let in, if [`KafkaOptions::security`] names an authority.
    pub fn for_certificates(&self) -> SocketAddr {
        self.for_certificates.address()
    }
}

faults!(Broker);

/// How Kafka's programs are called.
struct Java {
    program: PathBuf,
    heap_mib: u32,
    options: Vec<String>,
}

impl Java {
    fn new(options: &KafkaOptions, jars: &Path, logging: &Path) -> Result<Java, Error> {
        Ok(Java {
            program: java::java()?,
            heap_mib: options.heap_mib,
            options: vec![
                "-XX:+UseSerialGC".into(),
                "-XX:+ExitOnOutOfMemoryError".into(),
                "-Djava.awt.headless=true".into(),
                format!("-Dlog4j2.configurationFile={}", logging.display()),
                "-cp".into(),
                class_path(jars),
            ],
        })
    }

    fn broker(&self, settings: &Path) -> Command {
        let heap = self.heap_mib;
        let mut command = Command::new(&self.program);
        command
            .args([format!("-Xms{heap}m"), format!("-Xmx{heap}m")])
            .args(&self.options)
            .arg("kafka.Kafka")
            .arg(settings);
        command
    }

    /// Prepares a broker's folder.
    fn format(&self, settings: &Path, users: &[(String, String)]) -> Result<(), Error> {
        let mut command = Command::new(&self.program);
        command
            .arg("-Xmx128m")
            .args(&self.options)
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
            .arg(settings);
        for (user, password) in users {
            for mechanism in MECHANISMS {
                command.args(["--add-scram", &format!("{mechanism}=[name={user},password={password}]")]);
            }
        }
        command::run(&mut command, "kafka.tools.StorageTool format").map(drop)
    }
}

const MECHANISMS: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

/// What `server.properties` says of the listeners for clients that are known.
fn secured(own: &Certified, listeners: [SocketAddr; 4]) -> String {
    let [plain, controller, passwords, certificates] = listeners;
    let told = format!("PLAINTEXT://{plain},PASSWORDS://{passwords},CERTIFICATES://{certificates}");
    let mechanisms = MECHANISMS.map(|mechanism| {
        let mechanism = mechanism.to_ascii_lowercase();
        let login = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        format!("listener.name.passwords.{mechanism}.sasl.jaas.config={login}\n")
    });
    format!(
        "listeners={told},CONTROLLER://{controller}\n\
         advertised.listeners={told}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PASSWORDS:SASL_SSL,CERTIFICATES:SSL\n\
         listener.name.certificates.ssl.client.auth=required\n\
         listener.name.passwords.sasl.enabled.mechanisms={enabled}\n\
         {mechanisms}\
         ssl.keystore.type=PEM\nssl.keystore.location={both}\n\
         ssl.truststore.type=PEM\nssl.truststore.location={authority}\n",
        enabled = MECHANISMS.join(","),
        mechanisms = mechanisms.concat(),
        both = own.both_file.display(),
        authority = own.authority_file.display(),
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn three_brokers_of_which_one_dies() {
        let options = KafkaOptions {
            brokers: 3,
            heap_mib: 256,
            ..KafkaOptions::default()
        };
        let kafka = Kafka::start(options).expect("they start");
        let is_up = |broker: &Broker| TcpStream::connect(broker.address()).is_ok();
        assert!(kafka.brokers().iter().all(is_up));
        assert_eq!(kafka.addresses().split(',').count(), 3);
        kafka.brokers()[0].kill();
        assert_eq!(kafka.brokers().iter().filter(|broker| is_up(broker)).count(), 2);
        kafka.brokers()[0].restart().expect("it starts again");
        kafka.restart().expect("they start again");
        assert!(kafka.brokers().iter().all(is_up));
    }
}
