//! Makes tables and topics follow the registry, as often as it takes.

use std::{collections::HashSet, sync::Arc, time::Duration};

use forebay_catalog::{Catalog, Group, Ready, Snapshot};
use forebay_model::{Generation, GroupId, GroupSchema};
use forebay_storage::Provision;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Longest time that one step for one group may take.
const STEP_DEADLINE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What holds rows.
#[derive(Clone)]
pub struct Provisioners {
    pub online: Arc<dyn Provision>,
    pub offline: Arc<dyn Provision>,
    pub row_log: Arc<dyn Provision>,
}

/// Brings every backend to what the newest snapshot says, idempotently.
pub struct Reconciler {
    catalog: Arc<Catalog>,
    provisioners: Provisioners,
    /// One pass at a time, and the schemas that this process has purged.
    purged: Mutex<HashSet<(GroupId, Generation)>>,
}

impl Reconciler {
    pub fn new(catalog: Arc<Catalog>, provisioners: Provisioners) -> Self {
        Self {
            catalog,
            provisioners,
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
        for group in snapshot.groups().filter(|group| !group.is_ready()) {
            done &= self.ensure(group).await;
        }
        done
    }

    async fn ensure(&self, group: &Group) -> bool {
        let Provisioners {
            online,
            offline,
            row_log,
        } = &self.provisioners;
        // The log last: a row that is taken in must find its way on.
        let wanted = [
            (group.is_online(), online),
            (group.has_history(), offline),
            (group.uses_row_log(), row_log),
        ];
        for (_, backend) in wanted.iter().filter(|(wanted, _)| *wanted) {
            if let Err(reason) = step(&***backend, backend.ensure(&group.schema)).await {
                tracing::warn!(group = %group.name, reason, "a group is not ready yet");
                group.readiness.set(Ready::Failed(reason));
                return false;
            }
        }
        group.readiness.set(Ready::Ready);
        true
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> bool {
        let Provisioners {
            online,
            offline,
            row_log,
        } = &self.provisioners;
        for backend in [row_log, online, offline] {
            if let Err(reason) = step(&**backend, backend.purge(schema)).await {
                tracing::warn!(group = %schema.name, reason, "a group's data is still there");
                return false;
            }
        }
        true
    }

    /// Follows the registry until it is told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        let mut revisions = self.catalog.revisions();
        let mut pause = FIRST_PAUSE;
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = self.pass() => done,
            };
            pause = if done {
                FIRST_PAUSE
            } else {
                (pause * 2).min(LONGEST_PAUSE)
            };
            tokio::select! {
                () = stop.cancelled() => return,
                // The sender lives as long as the catalog that we hold.
                _ = revisions.changed() => {}
                () = tokio::time::sleep(pause), if !done => {}
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
