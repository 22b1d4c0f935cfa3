//! `[kafka]`: how the brokers are reached, and how topics are made.

use std::{path::PathBuf, time::Duration};

use forebay_storage::Secret;
use rdkafka::{ClientConfig, config::RDKafkaLogLevel};
use serde::{Deserialize, Deserializer, Serialize};

/// The brokers, the topics and the bounds of this process. Times in milliseconds, sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Some of the brokers, as `host:port`; the others are learned from them. Empty: there is no Kafka.
    #[serde(deserialize_with = "one_or_many")]
    pub brokers: Vec<String>,
    /// Speak TLS with the brokers.
    pub tls: bool,
    /// Certificates of the authorities that may have signed the brokers' (PEM); without it, those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// This client's certificate (PEM), if brokers ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// The key of this client's certificate (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// How `username` and `password` are shown to the brokers.
    pub sasl_mechanism: SaslMechanism,
    /// Empty: no SASL.
    pub username: String,
    pub password: Secret,
    /// Partitions of a group's topic. Fixed when it is made: with another number keys would change their partitions.
    pub partitions: u32,
    /// Replicas of each topic that is made; 0 leaves it to the brokers (`default.replication.factor`).
    pub replication: u16,
    /// Replicas that must have a row before it is acknowledged; 0 leaves it to the brokers (`min.insync.replicas`).
    pub min_insync_replicas: u16,
    /// Hours that rows stay in the log. Both sinks must have them before, whatever they are held up by: a week bridges a store that is down over a long
    /// weekend.
    pub retention_hours: u32,
    /// Hours that rejected records can be listed and replayed.
    pub rejected_retention_hours: u32,
    /// How batches of records are compressed: `none`, `lz4`, `zstd`, `snappy` or `gzip`.
    pub compression: Compression,
    /// After which rows that were not acknowledged by the brokers are answered as unavailable. Whether the log has them is then unknown.
    pub append_timeout_ms: u64,
    /// Within which brokers must answer all other questions.
    pub request_timeout_ms: u64,
    /// Bytes of rows that may wait for their acknowledgement; appends are refused as full at the bound.
    pub append_bytes: usize,
    /// Bytes of records that may be read ahead, all topics together.
    pub read_ahead_bytes: usize,
    /// How much older than its append to the log a row's ingest time may be; one that took longer is taken in this long before its append. All processes
    /// must agree.
    pub delivery_bound_ms: u64,
    /// By how much clocks of brokers and processes may differ, and replicas lag, before a row could appear below the settled time.
    pub clock_tolerance_ms: u64,
}

/// How a user is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaslMechanism {
    Plain,
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    #[default]
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

/// How batches are compressed on their way and on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    None,
    #[default]
    Lz4,
    Zstd,
    Snappy,
    Gzip,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            tls: false,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            sasl_mechanism: SaslMechanism::default(),
            username: String::new(),
            password: Secret::default(),
            partitions: 8,
            replication: 0,
            min_insync_replicas: 0,
            retention_hours: 7 * 24,
            rejected_retention_hours: 30 * 24,
            compression: Compression::default(),
            append_timeout_ms: 10_000,
            request_timeout_ms: 10_000,
            append_bytes: 64 << 20,
            read_ahead_bytes: 64 << 20,
            delivery_bound_ms: 6_000,
            clock_tolerance_ms: 1_000,
        }
    }
}

/// Bytes of a record with all that Kafka adds to it; a row's limit and some room.
pub(crate) const MAX_RECORD_BYTES: usize = forebay_rows::packed::MAX_ROW_LENGTH + (1 << 20);

impl KafkaConfig {
    /// Whether there are brokers at all.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.brokers.is_empty()
    }

    pub(crate) fn append_timeout(&self) -> Duration {
        Duration::from_millis(self.append_timeout_ms)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// What all clients have in common.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", "forebay")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("socket.timeout.ms", "15000")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("retry.backoff.ms", "50")
            .set("allow.auto.create.topics", "false")
            .set("security.protocol", self.protocol())
            // That a broker has hung up is no more than information to it, and may be all there is.
            .set_log_level(RDKafkaLogLevel::Info);
        if self.tls {
            for (setting, file) in [
                ("ssl.ca.location", &self.ca_file),
                ("ssl.certificate.location", &self.certificate_file),
                ("ssl.key.location", &self.key_file),
            ] {
                if let Some(file) = file {
                    client.set(setting, file.to_string_lossy());
                }
            }
        }
        if !self.username.is_empty() {
            client
                .set("sasl.mechanism", self.sasl_mechanism.as_str())
                .set("sasl.username", &self.username)
                .set("sasl.password", self.password.expose());
        }
        client
    }

    fn protocol(&self) -> &'static str {
        match (self.tls, self.username.is_empty()) {
            (false, true) => "plaintext",
            (true, true) => "ssl",
            (false, false) => "sasl_plaintext",
            (true, false) => "sasl_ssl",
        }
    }
}

impl SaslMechanism {
    fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Compression {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
        }
    }
}

/// A list, or a text with commas, as an environment variable has it.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected brokers as `host:port`, a list of them or separated by commas"
    )]
    enum Brokers {
        One(String),
        Many(Vec<String>),
    }
    let texts = match Brokers::deserialize(deserializer)? {
        Brokers::One(text) => vec![text],
        Brokers::Many(texts) => texts,
    };
    let brokers = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    Ok(brokers.filter(|broker| !broker.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_a_list_or_a_text() {
        for text in [r#"brokers = ["a:1", "b:2"]"#, r#"brokers = "a:1, b:2""#] {
            let config: KafkaConfig = toml::from_str(text).expect("settings");
            assert_eq!(config.brokers, ["a:1", "b:2"]);
            assert!(config.is_configured());
        }
        assert!(toml::from_str::<KafkaConfig>("brokres = []").is_err());
    }

    #[test]
    fn the_password_goes_to_the_driver_alone() {
        let config: KafkaConfig =
            toml::from_str("tls = true\nusername = \"u\"\npassword = \"s3cret\"").expect("settings");
        let client = config.client();
        assert_eq!(client.get("security.protocol"), Some("sasl_ssl"));
        assert_eq!(client.get("sasl.password"), Some("s3cret"));
        assert!(!toml::to_string(&config).expect("TOML").contains("s3cret"));
    }
}
