//! Whether a group's tables and topics are there.

use parking_lot::RwLock;

/// Set by whoever makes the tables; shared by all snapshots in which the group has the same schema.
#[derive(Debug, Default)]
pub struct Readiness(RwLock<Ready>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ready {
    /// Nothing was tried yet.
    #[default]
    Pending,
    Ready,
    /// The last attempt failed, for this reason; it is tried again.
    Failed(String),
}

impl Readiness {
    #[must_use]
    pub fn get(&self) -> Ready {
        self.0.read().clone()
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.0.read() == Ready::Ready
    }

    /// What keeps it from being ready; none when it is.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match &*self.0.read() {
            Ready::Pending => Some("its tables are being made; try again shortly".to_owned()),
            Ready::Ready => None,
            Ready::Failed(reason) => Some(reason.clone()),
        }
    }

    pub fn set(&self, ready: Ready) {
        *self.0.write() = ready;
    }
}
