//! The client itself: where Forebay is, and how patient the client is with it.

use std::time::Duration;

use crate::error::{ClientError, with_sources};
use crate::retry::Retry;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest silence within an answer, or before it; historical queries have ten minutes to begin.
const SILENCE: Duration = Duration::from_secs(660);

/// A client of one installation. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    retry: Retry,
}

impl Client {
    /// A client of the installation at a base URL, such as `http://127.0.0.1:7070`.
    pub fn new(base_url: &str) -> Result<Self, ClientError> {
        let wrong = |reason: String| ClientError::Url {
            url: base_url.to_owned(),
            reason,
        };
        let parsed: reqwest::Url = base_url.parse().map_err(|error| wrong(format!("{error}")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong("it begins with neither http:// nor https://".to_owned()));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .tcp_nodelay(true)
            .build();
        let http = http.map_err(|error| wrong(with_sources(&error)))?;
        Ok(Client {
            http,
            base_url: base_url.trim_end_matches('/').to_owned(),
            retry: Retry::default(),
        })
    }

    /// The same client with another patience.
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The URL that paths are appended to, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn retry(&self) -> &Retry {
        &self.retry
    }
}
