//! Makes tables and topics follow the registry, as often as it takes.

use std::{collections::HashSet, sync::Arc, time::Duration};

use forebay_catalog::{Catalog, ChangeSet, Group, Ready, Snapshot};
use forebay_model::{
    Generation, GroupId, GroupName, GroupSchema,
    definitions::{Definition, Stores, WayIn},
};
use forebay_storage::{Leases, Provision};
use tokio::{sync::Mutex, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{measures, outbox::Outbox};

/// Who of several registries makes what an apply did not make itself. Two at once would only do the same twice.
const LEASE: &str = "reconciler";
/// Longest time that one step for one group may take.
const STEP_DEADLINE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often it looks whether there is work, beside being told.
const IDLE: Duration = Duration::from_secs(5);

/// Groups that are worked on at once.
const AT_ONCE: usize = 8;

/// What holds rows.
#[derive(Clone)]
pub struct Provisioners {
    pub online: Arc<dyn Provision>,
    pub offline: Arc<dyn Provision>,
    pub row_log: Arc<dyn Provision>,
}

/// What a group's rows are kept in.
struct Needs {
    schema: Arc<GroupSchema>,
    online: bool,
    offline: bool,
    row_log: bool,
}

impl Needs {
    fn of(group: &Group) -> Self {
        Self::new(&group.schema, group.stores, group.way_in)
    }

    fn new(schema: &Arc<GroupSchema>, stores: Stores, way_in: WayIn) -> Self {
        Self {
            schema: Arc::clone(schema),
            online: stores.online,
            offline: stores.offline,
            row_log: forebay_catalog::uses_row_log(way_in, stores),
        }
    }
}

impl Provisioners {
    async fn ensure(&self, needs: Needs) -> Result<(), String> {
        // The log last: a row that is taken in must find its way on.
        let wanted = [
            (needs.online, &self.online),
            (needs.offline, &self.offline),
            (needs.row_log, &self.row_log),
        ];
        for (_, backend) in wanted.iter().filter(|(wanted, _)| *wanted) {
            if let Err(reason) = step(&***backend, backend.ensure(&needs.schema)).await {
                measures::not_reconciled();
                tracing::warn!(group = %needs.schema.name, reason, "a group is not ready yet");
                return Err(reason);
            }
        }
        Ok(())
    }
}

/// Brings every backend to what the newest snapshot says, idempotently.
pub struct Reconciler {
    catalog: Arc<Catalog>,
    provisioners: Provisioners,
    /// Tells everybody what became ready.
    outbox: Arc<Outbox>,
    /// One pass at a time, and the schemas that this process has purged.
    purged: Mutex<HashSet<(GroupId, Generation)>>,
}

impl Reconciler {
    pub fn new(catalog: Arc<Catalog>, provisioners: Provisioners, outbox: Arc<Outbox>) -> Self {
        Self {
            catalog,
            provisioners,
            outbox,
            purged: Mutex::default(),
        }
    }

    /// One pass over all groups that are not ready and all data that is to go. True when nothing is left to do.
    pub async fn pass(&self) -> bool {
        let mut purged = self.purged.lock().await;
        let snapshot = self.catalog.current();
        let mut done = true;
        for schema in to_purge(&snapshot) {
            let identity = (schema.id, schema.generation);
            if !purged.contains(&identity) {
                if self.purge(&schema).await {
                    purged.insert(identity);
                } else {
                    done = false;
                }
            }
        }
        let waiting = snapshot.groups().filter(|group| !group.is_ready());
        let waiting = waiting.map(|group| (Arc::clone(group), Needs::of(group)));
        for (group, outcome) in self.ensure_all(waiting.collect()).await {
            done &= outcome.is_ok();
            group.readiness.set(match outcome {
                Ok(()) => Ready::Ready,
                Err(reason) => Ready::Failed(reason),
            });
        }
        self.outbox.touch();
        done
    }

    /// Makes the tables of a change set's groups before anybody sees it, so that a group which only gets another feature answers
    /// all the time. Those whose tables are there are returned; the others follow.
    pub async fn prepare(&self, changes: &ChangeSet) -> HashSet<GroupName> {
        let objects = changes.objects.iter().filter(|object| !object.deleted);
        let wanted = objects.filter_map(|object| {
            let state = object.record.group.as_ref()?;
            match &*object.record.definition {
                Definition::FeatureGroup(group) => {
                    let schema = &state.schema;
                    Some((group.name.clone(), Needs::new(schema, group.stores, group.way_in())))
                }
                _ => None,
            }
        });
        let outcomes = self.ensure_all(wanted.collect()).await;
        outcomes
            .into_iter()
            .filter(|(_, outcome)| outcome.is_ok())
            .map(|(name, _)| name)
            .collect()
    }

    /// Several groups at once, each with what came of it.
    async fn ensure_all<T: Send + 'static>(&self, groups: Vec<(T, Needs)>) -> Vec<(T, Result<(), String>)> {
        let mut waiting = groups.into_iter();
        let mut running = JoinSet::new();
        let mut outcomes = Vec::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((group, needs)) = waiting.next()
            {
                let provisioners = self.provisioners.clone();
                running.spawn(async move { (group, provisioners.ensure(needs).await) });
            }
            match running.join_next().await {
                Some(Ok(outcome)) => outcomes.push(outcome),
                // The panic is in the log; the group stays as it is and is tried again.
                Some(Err(error)) => tracing::error!(%error, "making a group's tables panicked"),
                None => return outcomes,
            }
        }
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> bool {
        let Provisioners {
            online,
            offline,
            row_log,
        } = &self.provisioners;
        for backend in [row_log, online, offline] {
            if let Err(reason) = step(&**backend, backend.purge(schema)).await {
                measures::not_reconciled();
                tracing::warn!(group = %schema.name, reason, "a group's data is still there");
                return false;
            }
        }
        true
    }

    /// Follows the registry until it is told to stop, while it is this registry's turn.
    pub async fn run(&self, leases: &dyn Leases, stop: CancellationToken) {
        let mut revisions = self.catalog.revisions();
        let mut pause = FIRST_PAUSE;
        while !stop.is_cancelled() {
            let lease = tokio::select! {
                () = stop.cancelled() => return,
                lease = leases.acquire(LEASE) => lease,
            };
            let lease = match lease {
                Ok(lease) => lease,
                Err(error) => {
                    tracing::warn!(%error, "the lease of the reconciler cannot be acquired; it is tried again");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            };
            pause = FIRST_PAUSE;
            while lease.is_held() {
                let done = tokio::select! {
                    () = stop.cancelled() => return,
                    done = self.pass() => done,
                };
                pause = match done {
                    true => FIRST_PAUSE,
                    false => (pause * 2).min(LONGEST_PAUSE),
                };
                tokio::select! {
                    () = stop.cancelled() => return,
                    // The sender lives as long as the catalog that we hold.
                    _ = revisions.changed() => {}
                    () = tokio::time::sleep(if done { IDLE } else { pause }) => {}
                }
            }
        }
    }
}

fn to_purge(snapshot: &Snapshot) -> Vec<Arc<GroupSchema>> {
    let states = snapshot.entries().filter_map(|(_, entry)| entry.record.group.as_ref());
    states.flat_map(|state| state.purged.iter().cloned()).collect()
}

async fn step(backend: &dyn Provision, work: impl Future<Output = forebay_storage::Result<()>>) -> Result<(), String> {
    match tokio::time::timeout(STEP_DEADLINE, work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the {} took longer than {STEP_DEADLINE:?}", backend.what())),
    }
}
