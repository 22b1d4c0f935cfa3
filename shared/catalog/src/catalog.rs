//! The handle that a service holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::metrics::gauge;
use arc_swap::{ArcSwap, Guard};
use forebay_model::{GroupId, LayoutNumber, graph::Cycle};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{Announced, ChangeSet, Group, Snapshot};

/// The newest snapshot, shared by everything in the process. Reading it never blocks.
#[derive(Debug)]
pub struct Catalog {
    current: ArcSwap<Snapshot>,
    revision: watch::Sender<u64>,
    /// One writer at a time; readers do not take it.
    writing: Mutex<()>,
    /// Somebody has met something that is newer than the newest snapshot.
    newer: Notify,
    answered: Mutex<Answered>,
    /// The newest registry revision that was announced, and may not have come yet.
    announced: AtomicU64,
}

/// When the registry last told all that it knows.
#[derive(Debug, Clone, Copy)]
enum Answered {
    /// It is in this process and tells at once.
    Always,
    /// It was asked then, and has answered; `None`: it has not yet.
    At(Option<Instant>),
}

/// How often one who waits for something newer asks for it.
const ASK: Duration = Duration::from_millis(250);

/// A change set that does not follow the snapshot it should change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// Revisions between are missing: fetch a whole snapshot.
    #[error("registry revision {found} does not follow {expected}: fetch a snapshot")]
    Missing { expected: u64, found: u64 },
    #[error(transparent)]
    Cycle(#[from] Cycle),
}

/// The revision did not arrive in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("registry revision {wanted} has not arrived here yet; the newest is {newest}: try again shortly")]
pub struct NotYet {
    pub wanted: u64,
    pub newest: u64,
}

impl Default for Catalog {
    fn default() -> Self {
        Self::new(Snapshot::empty())
    }
}

impl Catalog {
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        forebay_telemetry::describe(crate::METRICS);
        let (revision, _) = watch::channel(snapshot.revision());
        Self {
            current: ArcSwap::from_pointee(snapshot),
            revision,
            writing: Mutex::new(()),
            newer: Notify::new(),
            answered: Mutex::new(Answered::Always),
            announced: AtomicU64::new(0),
        }
    }

    /// The newest snapshot, to keep for as long as a request takes.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The newest snapshot without touching its reference count, for short looks on the hot path.
    #[must_use]
    pub fn peek(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Takes a change set in, at once and whole. One that is in already is left alone.
    ///
    /// # Errors
    /// [`Gap::Missing`] when revisions between are missing; nothing changes then.
    pub fn publish(&self, changes: &ChangeSet) -> Result<Arc<Snapshot>, Gap> {
        self.publish_with(changes, |_| {})
    }

    /// The same, with a look at the snapshot before anybody else sees it: groups whose tables are there are told ready.
    ///
    /// # Errors
    /// As [`Catalog::publish`].
    pub fn publish_with(&self, changes: &ChangeSet, prepare: impl FnOnce(&Snapshot)) -> Result<Arc<Snapshot>, Gap> {
        let _writing = self.writing.lock();
        let current = self.current.load_full();
        if changes.revision <= current.revision() {
            return Ok(current);
        }
        let expected = current.revision() + 1;
        if changes.revision != expected {
            return Err(Gap::Missing {
                expected,
                found: changes.revision,
            });
        }
        let next = Arc::new(current.apply(changes)?);
        prepare(&next);
        self.swap(&next);
        Ok(next)
    }

    /// Takes in what a registry announced. Whatever is known already changes nothing.
    ///
    /// # Errors
    /// [`Gap::Missing`] when what came between was not heard here; a whole snapshot tells it.
    pub fn hear(&self, announced: &Announced) -> Result<(), Gap> {
        let readiness = announced.readiness();
        let current = match announced {
            Announced::Changes { changes, .. } => {
                self.publish_with(changes, |snapshot| snapshot.note_readiness(readiness))?
            }
            Announced::Readiness { .. } => self.current(),
        };
        current.note_readiness(readiness);
        let found = announced.registry_revision();
        match found <= current.revision() {
            true => Ok(()),
            false => Err(Gap::Missing {
                expected: current.revision() + 1,
                found,
            }),
        }
    }

    /// Puts a whole snapshot in place, unless a newer one is there. Groups whose tables are known to be there stay ready, and what the snapshot
    /// knows of them is taken over in any case.
    pub fn replace(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let _writing = self.writing.lock();
        let current = self.current.load_full();
        if snapshot.revision() <= current.revision() {
            current.note_readiness(&snapshot.readiness());
            return current;
        }
        for group in snapshot.groups() {
            if let Ok(known) = current.group(&group.name)
                && known.schema == group.schema
                && known.stores == group.stores
                && !group.is_ready()
            {
                group.readiness.set(known.readiness.get());
            }
        }
        let next = Arc::new(snapshot);
        self.swap(&next);
        next
    }

    fn swap(&self, next: &Arc<Snapshot>) {
        self.current.store(Arc::clone(next));
        self.revision.send_replace(next.revision());
    }

    /// The registry revision as it changes: await `changed()`, then take [`Catalog::current`].
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// A snapshot of at least this revision.
    ///
    /// # Errors
    /// [`NotYet`] when it has not arrived within `patience`.
    pub async fn wait_for(&self, wanted: u64, patience: Duration) -> Result<Arc<Snapshot>, NotYet> {
        let mut revisions = self.revisions();
        let arrived = revisions.wait_for(|revision| *revision >= wanted);
        // The sender lives in `self`, so the only other end is the timeout.
        let _ = tokio::time::timeout(patience, arrived).await;
        let current = self.current();
        if current.revision() >= wanted {
            Ok(current)
        } else {
            Err(NotYet {
                wanted,
                newest: current.revision(),
            })
        }
    }

    /// The group once its newest layout is at least this one: for who has met a row that is newer than the catalog. A registry in another process is
    /// asked; nothing is returned when it does not know either within `patience`.
    pub async fn newer_layout(&self, id: GroupId, layout: LayoutNumber, patience: Duration) -> Option<Arc<Group>> {
        let deadline = Instant::now() + patience;
        let mut revisions = self.revisions();
        loop {
            let current = self.current();
            let known = current.group_by_id(id).filter(|group| group.schema.layout >= layout);
            if let Some(group) = known {
                return Some(Arc::clone(group));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.newer.notify_one();
            // Either it has changed or it is time to ask again.
            let _ = tokio::time::timeout(left.min(ASK), revisions.changed()).await;
        }
    }

    /// Whether the registry has told all that it knew at some moment after `since`: what the catalog lacks then, the registry did not have.
    #[must_use]
    pub fn answered_since(&self, since: Instant) -> bool {
        match *self.answered.lock() {
            Answered::Always => true,
            Answered::At(asked) => asked.is_some_and(|asked| asked > since),
        }
    }

    /// For the follower: the registry is elsewhere, and what it was asked at this moment is in the catalog.
    pub(crate) fn note_answer(&self, asked: Option<Instant>) {
        *self.answered.lock() = Answered::At(asked);
    }

    /// For the follower: there is this registry revision.
    pub(crate) fn note_announced(&self, revision: u64) {
        self.announced.fetch_max(revision, Ordering::Relaxed);
    }

    /// For the follower: resolves when somebody needs what the registry has published since.
    pub(crate) async fn newer_asked(&self) {
        self.newer.notified().await;
    }

    /// Tells the gauges: which registry revision this process knows, how far it is behind, and how many groups it takes for not ready.
    pub fn measure(&self) {
        let snapshot = self.peek();
        let revision = snapshot.revision();
        let (groups, waiting) = snapshot.groups().fold((0_u64, 0_u64), |(groups, waiting), group| {
            (groups + 1, waiting + u64::from(!group.is_ready()))
        });
        let behind = self.announced.load(Ordering::Relaxed).saturating_sub(revision);
        gauge!("forebay_registry_revision").set(revision as f64);
        gauge!("forebay_registry_behind_revisions").set(behind as f64);
        gauge!("forebay_groups").set(groups as f64);
        gauge!("forebay_groups_not_ready").set(waiting as f64);
        if let Answered::At(Some(asked)) = *self.answered.lock() {
            gauge!("forebay_registry_answer_age_seconds").set(asked.elapsed().as_secs_f64());
        }
    }
}
