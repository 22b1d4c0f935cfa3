//! What services know of their backends: the traits of `storage`, in threes and fives as one backend fills them.

use std::sync::Arc;

use forebay_storage::{Announcements, ClaimStore, Leases, OnlineStore, RegistryStore, RejectedLog, RowLog, RunStore};

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
