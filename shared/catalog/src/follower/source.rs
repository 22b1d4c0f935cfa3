//! Where whole snapshots come from.

use std::time::Duration;

use async_trait::async_trait;
use forebay_api::changes::RegistrySnapshot;

use crate::WireError;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{0}")]
    Unavailable(String),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("its snapshot cannot be used: {0}")]
    Wire(#[from] WireError),
}

/// Gives whole snapshots of the registry.
#[async_trait]
pub trait SnapshotSource: Send + Sync {
    /// The registry as it is; none when it is still at revision `known` with every group ready.
    ///
    /// # Errors
    /// When it does not answer.
    async fn fetch(&self, known: Option<u64>) -> Result<Option<RegistrySnapshot>, SourceError>;
}
