//! Announces every registry revision to everybody, in order, and how ready groups are.
//!
//! The log of heads in the store is what is to be announced: every registry announces what it did not hear on the channel, so that the
//! change set of one that died after its publication is announced by another, or by itself when it is back. What is announced twice
//! changes nothing to those who hear it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use forebay_api::changes::GroupReadiness;
use forebay_catalog::{Announced, Catalog, ChangeSet};
use forebay_storage::{Announcements, Channel, RegistryStore};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{loading, measures, refusal::Refusal};

/// How often everything is told again that somebody may have missed.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long another registry has for announcing what it published.
const GRACE: Duration = Duration::from_secs(1);
/// Registry revisions announced again at start: nobody knows whether those before did it.
const AGAIN: u64 = 8;
/// A larger change set is not sent: the revision is, and who hears it fetches a snapshot.
const MAX_MESSAGE: usize = 900_000;
/// Groups in one message about readiness.
const GROUPS: usize = 500;
const DEADLINE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub struct Outbox {
    store: Arc<dyn RegistryStore>,
    catalog: Arc<Catalog>,
    announcements: Arc<dyn Announcements>,
    /// Published by this process and not announced yet, by registry revision.
    own: Mutex<BTreeMap<u64, ChangeSet>>,
    /// Every revision up to this one is on the channel, or was there before this process began.
    announced: watch::Sender<u64>,
    /// Something may have to be announced.
    wake: Notify,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Registry(#[from] Refusal),
    #[error("{0}")]
    Channel(String),
}

impl Outbox {
    pub fn new(store: Arc<dyn RegistryStore>, catalog: Arc<Catalog>, announcements: Arc<dyn Announcements>) -> Self {
        Self {
            store,
            catalog,
            announcements,
            own: Mutex::default(),
            announced: watch::Sender::new(0),
            wake: Notify::new(),
        }
    }

    /// A change set that this process published and that its catalog holds.
    pub fn put(&self, changes: ChangeSet) {
        self.own.lock().insert(changes.revision, changes);
        self.wake.notify_one();
    }

    /// Groups may have become ready.
    pub fn touch(&self) {
        self.wake.notify_one();
    }

    /// What was heard on the channel need not be announced again.
    pub fn heard(&self, heard: &Announced) {
        if let Announced::Changes { changes, .. } = heard {
            self.on_the_channel(changes.revision);
        }
    }

    /// Waits until a revision is announced; false when that takes too long.
    pub async fn wait_for(&self, revision: u64, patience: Duration) -> bool {
        let mut announced = self.announced.subscribe();
        let arrived = announced.wait_for(|announced| *announced >= revision);
        matches!(timeout(patience, arrived).await, Ok(Ok(_)))
    }

    fn on_the_channel(&self, revision: u64) {
        self.announced.send_if_modified(|announced| {
            let follows = revision == *announced + 1;
            if follows {
                *announced = revision;
            }
            follows
        });
        self.own.lock().retain(|own, _| *own > *self.announced.borrow());
    }

    /// Announces until told to stop. The catalog holds what the store held.
    pub async fn run(&self, stop: CancellationToken) {
        let start = self.catalog.current().revision().saturating_sub(AGAIN);
        self.announced.send_replace(start);
        let mut revisions = self.catalog.revisions();
        let mut told = None;
        let mut heartbeat = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut immediately = true;
        loop {
            let step = async {
                self.catch_up(immediately).await?;
                if Instant::now() >= heartbeat {
                    told = None;
                    heartbeat = Instant::now() + HEARTBEAT;
                }
                self.tell_readiness(&mut told).await
            };
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = step => outcome,
            };
            let wait = match outcome {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    immediately = false;
                    heartbeat.saturating_duration_since(Instant::now())
                }
                Err(error) => {
                    measures::not_announced();
                    tracing::warn!(%error, "registry changes cannot be announced; they follow");
                    heartbeat = Instant::now();
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    wait
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                _ = revisions.changed() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Announces what the catalog holds and the channel does not, in order. What another registry published it may announce itself, unless this is
    /// to happen `immediately`.
    async fn catch_up(&self, immediately: bool) -> Result<(), Failure> {
        loop {
            let next = *self.announced.borrow() + 1;
            let snapshot = self.catalog.current();
            if next > snapshot.revision() {
                return Ok(());
            }
            let own = self.own.lock().get(&next).cloned();
            if own.is_none() && !immediately && self.wait_for(next, GRACE).await {
                continue;
            }
            let changes = match own {
                Some(changes) => Some(changes),
                None => loading::changes(&*self.store, next - 1, 1).await?.pop(),
            };
            let Some(changes) = changes else {
                // Those who need it fetch a snapshot.
                tracing::warn!(registry_revision = next, "the log of heads lacks a revision");
                self.on_the_channel(next);
                continue;
            };
            let named: Vec<String> = changes
                .objects
                .iter()
                .filter_map(|object| Some(object.record.group.as_ref()?.schema.name.to_string()))
                .collect();
            let readiness = snapshot.readiness();
            let readiness = readiness
                .into_iter()
                .filter(|group| named.contains(&group.group))
                .collect();
            self.announce(&Announced::Changes { changes, readiness }).await?;
            self.on_the_channel(next);
        }
    }

    /// Announces what is not `told` yet about groups' tables; with nothing told at all, at least the registry revision.
    async fn tell_readiness(&self, told: &mut Option<HashMap<u32, GroupReadiness>>) -> Result<(), Failure> {
        let snapshot = self.catalog.current();
        if snapshot.revision() > *self.announced.borrow() {
            // Its changes first.
            return Ok(());
        }
        let all = snapshot.readiness();
        let is_told = |group: &GroupReadiness| told.as_ref().is_some_and(|told| told.get(&group.id) == Some(group));
        let changed: Vec<GroupReadiness> = all.iter().filter(|group| !is_told(group)).cloned().collect();
        if changed.is_empty() && told.is_some() {
            return Ok(());
        }
        let mut rest = &changed[..];
        loop {
            let (part, left) = rest.split_at(rest.len().min(GROUPS));
            self.announce(&Announced::Readiness {
                registry_revision: snapshot.revision(),
                readiness: part.to_vec(),
            })
            .await?;
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        *told = Some(all.into_iter().map(|group| (group.id, group)).collect());
        Ok(())
    }

    async fn announce(&self, announced: &Announced) -> Result<(), Failure> {
        let message = announced
            .encode()
            .map_err(|error| Refusal::Internal(error.to_string()))?;
        if message.len() > MAX_MESSAGE {
            tracing::info!(
                registry_revision = announced.registry_revision(),
                bytes = message.len(),
                "a change set is too large to be announced whole; snapshots tell it"
            );
            return Ok(());
        }
        let sent = self
            .announcements
            .announce(Channel::RegistryChanges, Bytes::from(message));
        match timeout(DEADLINE, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::Channel(error.to_string())),
            Err(_) => Err(Failure::Channel("the channel does not answer".to_owned())),
        }
    }
}
