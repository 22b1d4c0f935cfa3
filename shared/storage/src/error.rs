use std::sync::Arc;

use forebay_model::{GroupName, LayoutNumber};

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// Why a backend could not do what it was asked. Cheap to clone, since one failure may answer many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The backend is down or answers with an error of its own; the same call may succeed later.
    #[error("{what} is unavailable: {source}; it is tried again")]
    Unavailable { what: &'static str, source: Source },
    /// The deadline passed first; whether the call took effect is unknown.
    #[error("{what} did not answer before the deadline")]
    TimedOut { what: &'static str },
    /// A bound is reached; the caller should come back later.
    #[error("{what} is full; send less, or again later")]
    Full { what: &'static str },
    /// The disk or quota under the store is full: nothing is written until there is room, reads go on.
    #[error("{what} has no space left; nothing was written: free space or move the data directory")]
    NoSpace { what: &'static str },
    /// The group's table or topic does not exist yet.
    #[error("{what} holds nothing for group {group} yet; it is made when the group is applied")]
    NotProvisioned { what: &'static str, group: GroupName },
    /// A row was written with a schema that this process has not learned of yet: fetch the registry's revision, then go on.
    #[error(
        "group {group} has rows of layout {found:?}; this process knows up to {known:?} and must fetch the newer registry revision"
    )]
    NewerLayout {
        group: GroupName,
        found: LayoutNumber,
        known: LayoutNumber,
    },
    /// Something that was there before has been removed by others.
    #[error("{what}: {detail} is gone")]
    Gone { what: &'static str, detail: String },
    /// Something is there, but set up so that it cannot be used; it stays so until an operator changes it.
    #[error("{what}: {detail}")]
    Misconfigured { what: &'static str, detail: String },
    /// Stored bytes do not say what they should.
    #[error("{what} is corrupt: {detail}")]
    Corrupt { what: &'static str, detail: String },
    /// The store is closing.
    #[error("{what} is shutting down")]
    Closed { what: &'static str },
}

impl StorageError {
    /// An error of the backend's own, kept as the source.
    pub fn unavailable(what: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable {
            what,
            source: Arc::new(source),
        }
    }

    pub fn corrupt(what: &'static str, detail: impl Into<String>) -> Self {
        Self::Corrupt {
            what,
            detail: detail.into(),
        }
    }
}
