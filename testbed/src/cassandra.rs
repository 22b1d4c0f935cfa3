//! Apache Cassandra: one node.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::server::{Ready, Server, faults};
use crate::{Certified, Error, Port, command, download, java};

const POM: &str = include_str!("../servers/cassandra/pom.xml");
const SETTINGS: &str = include_str!("../servers/cassandra/cassandra.yaml");
const LOGGING: &str = include_str!("../servers/cassandra/logback.xml");

/// What Cassandra needs of Java's insides.
const OPENS: [&str; 11] = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/sun.nio.ch",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
];
const OPENS_MORE: [&str; 2] = [
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
];
const EXPORTS: [&str; 8] = [
    "java.base/jdk.internal.misc",
    "java.base/java.lang.ref",
    "jdk.unsupported/sun.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.attach/sun.tools.attach",
];

/// When a write is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitlogSync {
    /// Every second: fast, and kill -9 of this only node loses writes that it has acknowledged.
    #[default]
    Periodic,
    /// Before it is acknowledged, many together: about 1,700 writes per second, none lost. For tests that kill the node.
    Group,
}

/// How a node is started.
#[derive(Clone, Debug)]
pub struct CassandraOptions {
    /// The address of this machine at which it takes CQL.
    pub listen: Ipv4Addr,
    pub commitlog_sync: CommitlogSync,
    /// Java's heap, MiB.
    pub heap_mib: u32,
    /// Lets in those with a user's password only. The first user is `cassandra`, with the password `cassandra`.
    pub passwords: bool,
    /// Speaks TLS only, with this certificate and with clients that its authority has certified.
    pub tls: Option<Certified>,
}

impl Default for CassandraOptions {
    fn default() -> Self {
        CassandraOptions {
            listen: Ipv4Addr::LOCALHOST,
            commitlog_sync: CommitlogSync::default(),
            heap_mib: 512,
            passwords: false,
            tls: None,
        }
    }
}

impl CassandraOptions {
    /// For a node that many tests share: each table costs about a megabyte of heap.
    pub fn shared() -> Self {
        CassandraOptions {
            heap_mib: 1536,
            ..CassandraOptions::default()
        }
    }
}

/// A running node. It ends, and its folder goes, when this is dropped.
#[derive(Debug)]
pub struct Cassandra {
    server: Server,
    folder: TempDir,
    jars: PathBuf,
    port: Port,
    /// For other nodes, and for JMX.
    other_ports: [Port; 2],
}

impl Cassandra {
    /// Starts a node and waits until it takes CQL.
    ///
    /// # Errors
    /// When Java or Maven is missing, or the node does not start.
    pub fn start(options: CassandraOptions) -> Result<Cassandra, Error> {
        let jars = download::jars("cassandra", POM)?;
        let folder = temporary()?;
        let (port, other_ports) = (Port::take_at(options.listen)?, [Port::take()?, Port::take()?]);
        let sync = match options.commitlog_sync {
            CommitlogSync::Periodic => "commitlog_sync: periodic\ncommitlog_sync_period: 1000ms",
            CommitlogSync::Group => "commitlog_sync: group\ncommitlog_sync_group_window: 2ms",
        };
        let authenticator = match options.passwords {
            true => "PasswordAuthenticator",
            false => "AllowAllAuthenticator",
        };
        let settings = SETTINGS
            .replace("@FOLDER@", &folder.path().display().to_string())
            .replace("@LISTEN@", &options.listen.to_string())
            .replace("@PORT@", &port.number.to_string())
            .replace("@STORAGE_PORT@", &other_ports[0].number.to_string())
            .replace("@AUTHENTICATOR@", authenticator)
            .replace("@COMMITLOG_SYNC@", sync)
            + &options.tls.as_ref().map(encryption).unwrap_or_default();
        for (name, text) in [("cassandra.yaml", settings.as_str()), ("logback.xml", LOGGING)] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).map_err(Error::file(&path))?;
        }
        let command = daemon(&options, folder.path(), &jars, other_ports[1].number)?;
        let ready = Ready {
            listens: port.address(),
            says: "Starting listening for CQL clients",
        };
        let server = Server::launch("Cassandra", command, folder.path(), folder.path(), ready)?;
        server.wait()?;
        Ok(Cassandra {
            server,
            folder,
            jars,
            port,
            other_ports,
        })
    }

    /// Where it takes CQL.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The folder of its data and its `log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The keyspaces that have tables, its own apart.
    ///
    /// # Errors
    /// When its folder cannot be read.
    pub fn keyspaces(&self) -> Result<Vec<String>, Error> {
        let data = self.folder.path().join("data");
        let folders = std::fs::read_dir(&data).map_err(Error::file(&data))?;
        let mut names: Vec<_> = folders
            .flatten()
            .map(|folder| folder.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with("system"))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Writes a keyspace's memtables to sstables.
    ///
    /// # Errors
    /// When nodetool fails.
    pub fn flush(&self, keyspace: &str) -> Result<(), Error> {
        self.nodetool(&["flush", keyspace]).map(drop)
    }

    /// Merges a keyspace's sstables into one per table.
    ///
    /// # Errors
    /// When nodetool fails.
    pub fn compact(&self, keyspace: &str) -> Result<(), Error> {
        self.nodetool(&["compact", keyspace]).map(drop)
    }

    /// Runs `nodetool` with these words. Returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn nodetool(&self, words: &[&str]) -> Result<String, Error> {
        let mut command = Command::new(java::java()?);
        command
            .arg("-Xmx128m")
            .args(modules())
            .args(locations(self.folder.path()))
            .args(["-cp", &class_path(&self.jars), "org.apache.cassandra.tools.NodeTool"])
            .args(["-h", "127.0.0.1", "-p", &self.other_ports[1].number.to_string()])
            .args(words);
        command::run(&mut command, &format!("nodetool {}", words.join(" ")))
    }
}

faults!(Cassandra);

/// A folder for one server.
pub(crate) fn temporary() -> Result<TempDir, Error> {
    tempfile::Builder::new()
        .prefix("forebay-testbed-")
        .tempdir()
        .map_err(Error::file(&std::env::temp_dir()))
}

/// What `cassandra.yaml` says of TLS.
fn encryption(own: &Certified) -> String {
    format!(
        "\nclient_encryption_options:\n  enabled: true\n  optional: false\n  require_client_auth: true\n  \
         ssl_context_factory: {{ class_name: org.apache.cassandra.security.PEMBasedSslContextFactory }}\n  \
         keystore: {}\n  truststore: {}\n",
        own.both_file.display(),
        own.authority_file.display()
    )
}

fn daemon(options: &CassandraOptions, folder: &Path, jars: &Path, jmx_port: u16) -> Result<Command, Error> {
    let heap = options.heap_mib;
    let mut command = Command::new(java::java()?);
    command
        .args([format!("-Xms{heap}m"), format!("-Xmx{heap}m")])
        .args([
            "-Xss512k",
            "-XX:+UseSerialGC",
            "-XX:MaxDirectMemorySize=256m",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:+PerfDisableSharedMem",
            "-Djava.awt.headless=true",
            "-Djdk.attach.allowAttachSelf=true",
            "-Dio.netty.tryReflectionSetAccessible=true",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0",
            "-Dcassandra.ring_delay_ms=2000",
            "-Dcassandra.superuser_setup_delay_ms=0",
            // Otherwise it closes its output, and nobody sees when it is ready.
            "-Dcassandra-foreground=yes",
        ])
        .arg(format!("-javaagent:{}", jamm(jars)?.display()))
        .arg(format!("-Dcassandra.jmx.local.port={jmx_port}"))
        .args(modules())
        .args(locations(folder))
        .args(["-cp", &class_path(jars), "org.apache.cassandra.service.CassandraDaemon"]);
    Ok(command)
}

fn modules() -> impl Iterator<Item = String> {
    let opens = OPENS
        .into_iter()
        .chain(OPENS_MORE)
        .map(|module| ("--add-opens", module));
    let exports = EXPORTS.into_iter().map(|module| ("--add-exports", module));
    opens
        .chain(exports)
        .map(|(option, module)| format!("{option}={module}=ALL-UNNAMED"))
}

fn locations(folder: &Path) -> [String; 3] {
    let folder = folder.display();
    [
        format!("-Dlogback.configurationFile={folder}/logback.xml"),
        format!("-Dcassandra.config=file://{folder}/cassandra.yaml"),
        format!("-Dcassandra.storagedir={folder}"),
    ]
}

pub(crate) fn class_path(jars: &Path) -> String {
    format!("{}/*", jars.display())
}

/// The agent that measures objects; its name carries a version.
fn jamm(jars: &Path) -> Result<PathBuf, Error> {
    let files = std::fs::read_dir(jars).map_err(Error::file(jars))?;
    files
        .flatten()
        .map(|file| file.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("jamm-"))
        })
        .ok_or_else(|| Error::File {
            path: jars.join("jamm-*.jar"),
            source: std::io::ErrorKind::NotFound.into(),
        })
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn starts_and_starts_again_on_its_data() {
        let cassandra = Cassandra::start(CassandraOptions::default()).expect("it starts");
        let is_up = || TcpStream::connect(cassandra.address()).is_ok();
        assert!(is_up());
        cassandra.flush("system").expect("nodetool works");
        cassandra.kill();
        assert!(!is_up());
        cassandra.restart().expect("it starts again");
        assert!(is_up());
        let told = cassandra.nodetool(&["status"]).expect("nodetool works");
        assert!(told.contains("UN"), "{told}");
        let folder = cassandra.folder().to_owned();
        drop(cassandra);
        assert!(!folder.exists());
    }
}
