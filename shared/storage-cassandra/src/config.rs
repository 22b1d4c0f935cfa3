use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use forebay_storage::Secret;
use serde::{Deserialize, Deserializer, Serialize};

/// `[cassandra]`: online rows, registry, runs, claims and leases in Apache Cassandra or ScyllaDB. Used when it names contact points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CassandraConfig {
    /// `host:port` of some nodes, a list or one text with commas; the driver finds the others.
    #[serde(deserialize_with = "list_or_text")]
    pub contact_points: Vec<String>,
    /// The keyspace of all tables. In an environment with a name its name is put before, as in `staging_forebay`.
    pub keyspace: String,
    /// The datacenter that requests go to; empty: any. Consistency levels that are local mean the datacenter of the node that takes the request, so name it
    /// wherever there are several.
    pub datacenter: String,
    /// Copies of each row in every datacenter, for `forebay migrate`.
    pub replication_factor: u8,
    /// Copies by datacenter, where they differ or not all datacenters hold rows; overrides `replication_factor`.
    pub replication: BTreeMap<String, u8>,
    /// Options of the tables with online rows, in CQL, when they are made. Never a time to live: it breaks which row wins.
    pub table_options: String,
    pub username: String,
    pub password: Secret,
    /// Of reads and writes: `one`, `local_one`, `two`, `three`, `quorum`, `local_quorum`, `each_quorum` (writes only), `all`. Below a quorum a reader may miss
    /// what was acknowledged.
    pub consistency: ConsistencyLevel,
    /// Of lightweight transactions: `local_serial` within one datacenter, `serial` over all of them. With registries in several datacenters: `serial`.
    pub serial_consistency: SerialLevel,
    /// Whether a request is tried again, on the same node or another, when that is safe.
    pub retries: Retries,
    /// Milliseconds after which a read is sent to another replica too; 0: never.
    pub speculative_after_ms: u64,
    /// Connections to each node (to each shard of a ScyllaDB node).
    pub connections: usize,
    /// Reads under way at once, those of all requests together; more of them wait, until their deadline.
    pub concurrent_reads: usize,
    /// Writes of online rows under way at once.
    pub concurrent_writes: usize,
    /// Milliseconds to open a connection.
    pub connect_timeout_ms: u64,
    /// Milliseconds that one request may take where no deadline is given: writes, and all that is not online rows.
    pub request_timeout_ms: u64,
    /// Milliseconds that a change of tables may take until all nodes agree on it.
    pub schema_timeout_ms: u64,
    /// Milliseconds after which a lease whose holder does not renew it goes to somebody else.
    pub lease_ms: u64,
    pub tls: CassandraTls,
}

/// `[cassandra.tls]`. Nodes are known by their certificates' issuer, not by their host names: clusters are addressed by IP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CassandraTls {
    pub enabled: bool,
    /// Certificates (PEM) of those who may have issued the nodes' certificates; without it, those that the system trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Our own certificate (PEM), with those of its issuers, where the cluster asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Its key (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// How many replicas must answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsistencyLevel {
    One,
    LocalOne,
    Two,
    Three,
    Quorum,
    #[default]
    LocalQuorum,
    EachQuorum,
    All,
}

/// Where lightweight transactions are in one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SerialLevel {
    #[default]
    LocalSerial,
    Serial,
}

/// What the driver does about a request that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retries {
    /// Tries again where it cannot do harm and may help.
    #[default]
    Default,
    None,
}

impl Default for CassandraConfig {
    fn default() -> Self {
        Self {
            contact_points: Vec::new(),
            keyspace: "forebay".to_owned(),
            datacenter: String::new(),
            replication_factor: 3,
            replication: BTreeMap::new(),
            // A row is overwritten again and again and read by its key: levels keep it in few files.
            table_options: "compaction = {'class': 'LeveledCompactionStrategy'}".to_owned(),
            username: String::new(),
            password: Secret::default(),
            consistency: ConsistencyLevel::default(),
            serial_consistency: SerialLevel::default(),
            retries: Retries::default(),
            speculative_after_ms: 20,
            connections: 2,
            concurrent_reads: 1024,
            concurrent_writes: 256,
            connect_timeout_ms: 5_000,
            request_timeout_ms: 5_000,
            schema_timeout_ms: 60_000,
            lease_ms: 15_000,
            tls: CassandraTls::default(),
        }
    }
}

impl CassandraConfig {
    /// Whether there is a cluster to use.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.contact_points.is_empty()
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) fn schema_timeout(&self) -> Duration {
        Duration::from_millis(self.schema_timeout_ms)
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// The keyspace in this environment.
    ///
    /// # Errors
    /// [`ConnectError::Setting`] when the names do not make one.
    pub(crate) fn keyspace_in(&self, environment: Option<&str>) -> Result<String, ConnectError> {
        let keyspace = match environment {
            Some(environment) => format!("{}_{}", environment.replace('-', "_"), self.keyspace),
            None => self.keyspace.clone(),
        };
        let named = keyspace.starts_with(|c: char| c.is_ascii_lowercase())
            && keyspace
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if named && keyspace.len() <= KEYSPACE_LENGTH {
            Ok(keyspace)
        } else {
            Err(ConnectError::Setting(format!(
                "`{keyspace}` is no keyspace: expected a lower-case letter, then lower-case letters, digits and underscores, at most {KEYSPACE_LENGTH}"
            )))
        }
    }

    /// # Errors
    /// [`ConnectError::Setting`] for what cannot work.
    pub(crate) fn check(&self) -> Result<(), ConnectError> {
        let wrong = |what: &str| Err(ConnectError::Setting(what.to_owned()));
        if self.contact_points.is_empty() {
            return wrong("`contact_points` is empty: name some nodes as `host:port`");
        }
        for (name, value) in [
            ("connections", self.connections),
            ("concurrent_reads", self.concurrent_reads),
            ("concurrent_writes", self.concurrent_writes),
        ] {
            if value == 0 {
                return wrong(&format!("`{name}` is 0: at least 1 is needed"));
            }
        }
        for (name, value) in [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("schema_timeout_ms", self.schema_timeout_ms),
        ] {
            if value == 0 {
                return wrong(&format!("`{name}` is 0: every request needs time"));
            }
        }
        if self.lease_ms < 1_000 {
            return wrong("`lease_ms` is below 1000: a lease must outlast a slow renewal");
        }
        if self.replication_factor == 0 || self.replication.values().any(|copies| *copies == 0) {
            return wrong("a replication factor is 0: at least one copy of each row is needed");
        }
        if self.table_options.contains("default_time_to_live") {
            return wrong("`table_options` sets a time to live: rows that expire break which row wins");
        }
        Ok(())
    }
}

/// A list, or one text with commas, as an environment variable has it.
fn list_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of `host:port`, or one text with commas")]
    enum Points {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Points::deserialize(deserializer)? {
        Points::List(points) => points,
        Points::Text(text) => text
            .split(',')
            .map(|point| point.trim().to_owned())
            .filter(|point| !point.is_empty())
            .collect(),
    })
}

/// The longest name of a keyspace or table.
pub(crate) const KEYSPACE_LENGTH: usize = 48;

/// Why there is no connection to the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Waiting does not help.
    #[error("[cassandra] {0}")]
    Setting(String),
    /// Waiting does not help before the files do.
    #[error("[cassandra.tls] {what}: {source}")]
    Tls {
        what: &'static str,
        source: openssl::error::ErrorStack,
    },
    /// The cluster cannot be reached, or refuses us.
    #[error("Cassandra at {contact_points} cannot be used: {source}")]
    Unreachable {
        contact_points: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The cluster is there and the tables are not.
    #[error("Cassandra has no keyspace `{keyspace}` with the tables of this version: run `forebay migrate`")]
    NotMigrated { keyspace: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_keyspace() {
        let config = CassandraConfig::default();
        assert_eq!(config.keyspace_in(None).expect("a keyspace"), "forebay");
        assert_eq!(
            config.keyspace_in(Some("pre-prod")).expect("a keyspace"),
            "pre_prod_forebay"
        );
        assert!(config.keyspace_in(Some("Über")).is_err());
        assert!(config.keyspace_in(Some(&"x".repeat(48))).is_err());
    }

    #[test]
    fn contact_points_are_a_list_or_a_text() {
        for json in [
            r#"{"contact_points": "a:1, b:2"}"#,
            r#"{"contact_points": ["a:1", "b:2"]}"#,
        ] {
            let config: CassandraConfig = serde_json::from_str(json).expect("settings");
            assert_eq!(config.contact_points, ["a:1", "b:2"]);
        }
        let none: CassandraConfig = serde_json::from_str(r#"{"contact_points": ""}"#).expect("settings");
        assert!(!none.is_configured());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let config = CassandraConfig {
            contact_points: vec!["127.0.0.1:9042".to_owned()],
            ..CassandraConfig::default()
        };
        config.check().expect("the defaults work");
        let wrong = [
            CassandraConfig {
                contact_points: Vec::new(),
                ..config.clone()
            },
            CassandraConfig {
                connections: 0,
                ..config.clone()
            },
            CassandraConfig {
                lease_ms: 10,
                ..config.clone()
            },
            CassandraConfig {
                table_options: "default_time_to_live = 5".to_owned(),
                ..config
            },
        ];
        for config in wrong {
            assert!(matches!(config.check(), Err(ConnectError::Setting(_))), "{config:?}");
        }
    }
}
