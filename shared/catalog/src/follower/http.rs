//! Snapshots from the registry's HTTP interface.

use async_trait::async_trait;
use forebay_api::changes::RegistrySnapshot;
use forebay_client::{Client, ClientError, Retry};

use super::source::{SnapshotSource, SourceError};

/// The registry at a base URL.
pub struct HttpSource {
    client: Client,
}

impl HttpSource {
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        // The follower has a patience of its own.
        let once = Retry {
            attempts: 1,
            ..Retry::default()
        };
        Ok(Self {
            client: Client::new(url)?.with_retry(once),
        })
    }
}

#[async_trait]
impl SnapshotSource for HttpSource {
    async fn fetch(&self, known: Option<u64>) -> Result<Option<RegistrySnapshot>, SourceError> {
        self.client.registry_snapshot(known).await.map_err(|error| match error {
            // Its own words speak to people at a command line.
            ClientError::Unreachable { reason, .. } => SourceError::Unavailable(reason),
            error => SourceError::Unavailable(error.to_string()),
        })
    }
}
