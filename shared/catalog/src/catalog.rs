use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use arc_swap::{ArcSwap, Guard};
use forebay_model::{Generation, GroupId, GroupSchema, LayoutNumber};
use tokio::sync::watch;

use crate::Snapshot;

/// Holds the current [`Snapshot`] of a process and tells when it changes.
#[derive(Debug)]
pub struct Catalog {
    current: ArcSwap<Snapshot>,
    revision: watch::Sender<u64>,
    /// The tables and topics that exist. Grows with the groups and layouts of the process's lifetime.
    ready: RwLock<HashSet<(GroupId, Generation, LayoutNumber)>>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            current: ArcSwap::default(),
            revision: watch::Sender::new(0),
            ready: RwLock::default(),
        }
    }
}

impl Catalog {
    /// The current snapshot, to be kept through one request.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The current snapshot without counting a reference, for the hot path; not to be held across an await.
    #[must_use]
    pub fn peek(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Makes a snapshot the current one, unless a newer one is.
    pub fn publish(&self, snapshot: Snapshot) {
        let next = Arc::new(snapshot);
        self.revision.send_if_modified(|revision| {
            // Under the channel's lock, so that two publishers cannot swap out of order. Revision 0 is the empty registry, which is always replaced.
            let newer = next.registry_revision > *revision || *revision == 0;
            if newer {
                self.current.store(Arc::clone(&next));
                *revision = next.registry_revision;
            }
            newer
        });
    }

    /// Sees every change of the registry revision from here on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Waits until the snapshot is of this registry revision or a later one; false when the deadline passes first.
    pub async fn reach(&self, registry_revision: u64, deadline: Instant) -> bool {
        let mut changes = self.subscribe();
        let reached = changes.wait_for(|revision| *revision >= registry_revision);
        tokio::time::timeout_at(deadline.into(), reached)
            .await
            .is_ok_and(|outcome| outcome.is_ok())
    }

    /// Tells that the tables and topics of a schema exist, and so those of its older layouts.
    pub fn set_ready(&self, schema: &GroupSchema) {
        self.ready
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(identity(schema));
    }

    /// Whether rows of this schema can be stored and read. Until then the group answers 503.
    #[must_use]
    pub fn is_ready(&self, schema: &GroupSchema) -> bool {
        self.ready
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&identity(schema))
    }
}

fn identity(schema: &GroupSchema) -> (GroupId, Generation, LayoutNumber) {
    (schema.id, schema.generation, schema.layout)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn snapshot(registry_revision: u64) -> Snapshot {
        Snapshot {
            registry_revision,
            ..Snapshot::default()
        }
    }

    #[test]
    fn an_older_snapshot_never_replaces_a_newer_one() {
        let catalog = Catalog::default();
        catalog.publish(snapshot(2));
        catalog.publish(snapshot(1));
        assert_eq!(catalog.current().registry_revision, 2);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_revision_or_the_deadline() {
        let catalog = Arc::new(Catalog::default());
        let soon = Instant::now() + Duration::from_millis(10);
        assert!(!catalog.reach(1, soon).await);
        let waiting = tokio::spawn({
            let catalog = Arc::clone(&catalog);
            async move { catalog.reach(3, Instant::now() + Duration::from_secs(60)).await }
        });
        catalog.publish(snapshot(3));
        assert!(waiting.await.expect("the task ends"));
    }
}
