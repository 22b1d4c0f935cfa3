//! `[lake]`: where Delta tables are.

use std::path::PathBuf;

use forebay_model::Duration;
use forebay_storage::Secret;
use serde::{Deserialize, Serialize};

/// Where groups' tables are, and which others may be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LakeConfig {
    /// The place of the groups' tables and of sources with relative URIs: a folder, or `s3://bucket/prefix`. Without it, `lake` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Further places that sources and spines may name, as `file://` or `s3://`; everything else is refused. Folders must exist.
    pub allowed: Vec<String>,
    /// How S3 is spoken to, for every `s3://` place.
    pub s3: S3Config,
}

/// An S3 server. Without keys, credentials come from where AWS's own tools look for them: `AWS_*` variables, a web identity, the container's or instance's
/// role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// Such as `http://127.0.0.1:9000`; empty means Amazon's, or the one of `AWS_ENDPOINT_URL`.
    pub endpoint: String,
    /// Empty means that of `AWS_REGION`, or else `us-east-1`.
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: Secret,
    pub session_token: Secret,
    /// Whether an endpoint may be spoken to without TLS.
    pub allow_http: bool,
    /// Whether the bucket is named in the host, not in the path.
    pub virtual_hosted_style: bool,
    /// PEM certificates of authorities that are trusted besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// One request with its answer.
    pub timeout: Duration,
    /// A connection.
    pub connect_timeout: Duration,
    /// How often a request is sent again that may be.
    pub retries: usize,
    /// After so long no request is sent again.
    pub retry_timeout: Duration,
}

const SECOND: i64 = 1_000_000;

impl Default for S3Config {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            session_token: Secret::default(),
            allow_http: false,
            virtual_hosted_style: false,
            ca_file: None,
            timeout: Duration::from_micros(20 * SECOND),
            connect_timeout: Duration::from_micros(3 * SECOND),
            retries: 4,
            retry_timeout: Duration::from_micros(20 * SECOND),
        }
    }
}

impl S3Config {
    /// The longest that one request can take, all its repetitions included.
    #[must_use]
    pub fn longest_request(&self) -> std::time::Duration {
        self.timeout.as_std().saturating_add(self.retry_timeout.as_std())
    }
}
