//! What services know of their backends: the traits of `storage`, in threes and fives as one backend fills them.

use std::sync::Arc;

use forebay_storage::{
    Announcements, ClaimStore, Leases, OnlineStore, RegistryStore, RejectedLog, RowLog, RunStore, measured,
};

/// Rows by key and all small state.
#[derive(Clone)]
pub struct Tables {
    pub online: Arc<dyn OnlineStore>,
    pub registry: Arc<dyn RegistryStore>,
    pub runs: Arc<dyn RunStore>,
    pub claims: Arc<dyn ClaimStore>,
    pub leases: Arc<dyn Leases>,
}

/// What services send each other.
#[derive(Clone)]
pub struct Stream {
    pub row_log: Arc<dyn RowLog>,
    pub announcements: Arc<dyn Announcements>,
    pub rejected: Arc<dyn RejectedLog>,
}

impl Tables {
    /// The same, every call measured under the backend's name.
    #[must_use]
    pub fn measured(self, backend: &'static str) -> Self {
        Tables {
            online: measured::online(self.online, backend),
            registry: measured::registry(self.registry, backend),
            runs: measured::runs(self.runs, backend),
            claims: measured::claims(self.claims, backend),
            leases: measured::leases(self.leases, backend),
        }
    }
}

impl Stream {
    /// The same, every call measured under the backend's name.
    #[must_use]
    pub fn measured(self, backend: &'static str) -> Self {
        Stream {
            row_log: measured::row_log(self.row_log, backend),
            announcements: measured::announcements(self.announcements, backend),
            rejected: measured::rejected(self.rejected, backend),
        }
    }
}
