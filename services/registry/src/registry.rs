//! What the endpoints stand on: reading the store, changing it, one change at a time.

use std::{collections::HashSet, sync::Arc, time::Duration};

use forebay_catalog::{Catalog, ChangeSet, Ready, Snapshot};
use forebay_model::{GroupName, change::Action};
use forebay_storage::Head;
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Deps, loading,
    outbox::Outbox,
    proposal::{Proposal, Request, propose},
    publication::{self, Outcome},
    reconciler::{Provisioners, Reconciler},
    refusal::Refusal,
};

/// How long an apply is proposed again because others came first. One of those who try at once always succeeds.
const CONTENTION: Duration = Duration::from_secs(20);
/// How long an apply waits for the tables of its groups before it answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an apply waits until everybody is told.
const TELLING: Duration = Duration::from_secs(2);
/// So many missed registry revisions are read one by one; beyond that the whole registry is read.
const MISSED: u64 = 16;
/// Pause before the store is asked again at start.
const RETRY: Duration = Duration::from_millis(500);

/// The registry of this process.
pub struct Registry {
    deps: Deps,
    reconciler: Reconciler,
    outbox: Arc<Outbox>,
    /// Other processes are kept apart by the store; within this one nobody proposes what cannot be published.
    changing: Mutex<()>,
}

/// A request that took effect, or had none to take.
#[derive(Debug)]
pub struct Applied {
    pub proposal: Proposal,
    pub registry_revision: u64,
    /// Groups whose tables are still being made.
    pub pending: Vec<String>,
}

impl Registry {
    pub fn new(deps: Deps) -> Self {
        let provisioners = Provisioners {
            online: Arc::clone(&deps.online),
            offline: Arc::clone(&deps.offline),
            row_log: Arc::clone(&deps.row_log),
        };
        let outbox = Arc::new(Outbox::new(
            Arc::clone(&deps.store),
            Arc::clone(&deps.catalog),
            Arc::clone(&deps.announcements),
        ));
        Self {
            reconciler: Reconciler::new(Arc::clone(&deps.catalog), provisioners, Arc::clone(&outbox)),
            outbox,
            changing: Mutex::new(()),
            deps,
        }
    }

    pub fn deps(&self) -> &Deps {
        &self.deps
    }

    pub fn catalog(&self) -> &Catalog {
        &self.deps.catalog
    }

    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The store's head, and the snapshot brought to it if this process had missed something.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn refresh(&self) -> Result<(Head, Arc<Snapshot>), Refusal> {
        let head = self.deps.store.head().await.map_err(Refusal::store)?;
        let current = self.catalog().current();
        let missed = head.registry_revision.saturating_sub(current.revision());
        if missed > 0 && missed <= MISSED {
            let changes = loading::changes(
                &*self.deps.store,
                current.revision(),
                usize::try_from(missed).unwrap_or(1),
            );
            // A hole, if there should be one, is stepped over by reading everything.
            let _ = changes
                .await?
                .iter()
                .try_for_each(|changes| self.catalog().publish(changes).map(drop));
        }
        let current = self.catalog().current();
        if current.revision() >= head.registry_revision {
            return Ok((head, current));
        }
        let snapshot = loading::load(&*self.deps.store, &head).await?;
        Ok((head, self.catalog().replace(snapshot)))
    }

    /// The newest snapshot, for who asks for what is not in this one: another registry may have made it just now. If the store does not
    /// answer, it is the one that is here.
    pub async fn newest(&self) -> Arc<Snapshot> {
        match self.refresh().await {
            Ok((_, snapshot)) => snapshot,
            Err(error) => {
                tracing::warn!(%error, "the head cannot be read; the answer is from what was heard last");
                self.catalog().current()
            }
        }
    }

    /// What a request would change.
    ///
    /// # Errors
    /// Everything that is wrong with it, but for breaks.
    pub async fn plan(&self, request: &Request) -> Result<Proposal, Refusal> {
        let (head, snapshot) = self.refresh().await?;
        propose(&snapshot, head.manifest.next_group_id, request, &*self.deps.sources).await
    }

    /// Makes a request's changes, all of them or none. `seen` is the registry revision that the caller planned with.
    ///
    /// # Errors
    /// Everything that is wrong with it, breaks included.
    pub async fn apply(&self, request: &Request, seen: Option<u64>) -> Result<Applied, Refusal> {
        let changing = self.changing.lock().await;
        let (proposal, registry_revision) = self.publish(request, seen).await?;
        drop(changing);
        // Whoever has the answer may go to any other service with it. One that is not told in time is told later.
        if !self.outbox.wait_for(registry_revision, TELLING).await {
            tracing::debug!(registry_revision, "a change is not announced yet");
        }
        if proposal.objects.iter().any(|object| object.deleted) {
            // Data that is to go is gone with the answer, if its stores can do it in time.
            let _ = tokio::time::timeout(PATIENCE, self.reconciler.pass()).await;
        }
        let snapshot = self.catalog().current();
        let waiting = snapshot.groups().filter(|group| !group.is_ready());
        let pending = waiting.map(|group| group.name.to_string()).collect();
        Ok(Applied {
            proposal,
            registry_revision,
            pending,
        })
    }

    async fn publish(&self, request: &Request, seen: Option<u64>) -> Result<(Proposal, u64), Refusal> {
        let deadline = Instant::now() + CONTENTION;
        while Instant::now() < deadline {
            let (head, snapshot) = self.refresh().await?;
            let current = head.registry_revision;
            if let Some(seen) = seen.filter(|seen| *seen != current) {
                return Err(Refusal::Stale { seen, current });
            }
            let proposal = propose(&snapshot, head.manifest.next_group_id, request, &*self.deps.sources).await?;
            if !proposal.breaks.is_empty() {
                return Err(Refusal::Breaks(proposal.breaks));
            }
            let idle = proposal.changes.iter().all(|(change, _)| change.action == Action::None);
            if idle && proposal.objects.is_empty() {
                return Ok((proposal, current));
            }
            let now = self.deps.clock.now();
            let outcome = publication::publish(&*self.deps.store, &head, &proposal, Uuid::new_v4(), now).await?;
            if let Outcome::Done(changes) = outcome {
                let revision = changes.revision;
                // What is not there in time follows; until then its groups answer 503.
                let prepared = tokio::time::timeout(PATIENCE, self.reconciler.prepare(&changes)).await;
                self.take_in(&changes, &prepared.unwrap_or_default()).await?;
                self.outbox.put(changes);
                return Ok((proposal, revision));
            }
        }
        Err(Refusal::Contended)
    }

    /// Brings the catalog to a change set whose tables are there, as far as they are `prepared`.
    async fn take_in(&self, changes: &ChangeSet, prepared: &HashSet<GroupName>) -> Result<(), Refusal> {
        let tell = |snapshot: &Snapshot| {
            let schemas = changes.objects.iter().filter_map(|object| object.record.group.as_ref());
            for schema in schemas
                .map(|state| &state.schema)
                .filter(|schema| prepared.contains(&schema.name))
            {
                if let Ok(group) = snapshot.group(&schema.name)
                    && group.schema == *schema
                {
                    group.readiness.set(Ready::Ready);
                }
            }
        };
        if let Err(gap) = self.catalog().publish_with(changes, tell) {
            tracing::debug!(%gap, "the catalog is read anew");
            self.refresh().await?;
        }
        // It may have been there already, read by somebody else in this process.
        tell(&self.catalog().current());
        Ok(())
    }

    /// Whether the catalog holds what the store held when this process began.
    pub fn is_loaded(&self) -> bool {
        self.deps.loaded.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Reads the store, then keeps tables and topics in step until told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        while let Err(error) = self.refresh().await {
            tracing::warn!(error = %error, "the registry store cannot be read yet");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        // Ready means that groups answer; one whose tables cannot be made holds up no other for longer than this.
        let _ = tokio::time::timeout(PATIENCE, self.reconciler.pass()).await;
        self.deps.loaded.store(true, std::sync::atomic::Ordering::Release);
        tokio::join!(
            self.reconciler.run(&*self.deps.leases, stop.clone()),
            self.outbox.run(stop)
        );
    }
}
