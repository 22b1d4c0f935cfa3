//! The background half of ingestion: which group needs which work, and keeping it running.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use forebay_catalog::Group;
use forebay_model::GroupName;
use forebay_server::Service;
use forebay_storage::Topic;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{AppState, follower, housekeeping, sinks};

/// How often it is looked whether groups have come, gone or become ready, besides when the registry changes.
const LOOK: Duration = Duration::from_millis(250);

/// Work for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Duty {
    /// Its rows go from the log to these stores.
    Sinks { online: bool, offline: bool },
    /// Commits to its table go online.
    Follow,
    /// Its table is compacted and tidied.
    Upkeep,
    /// Rows long past its ttl are removed online.
    Sweep,
}

/// What a worker of one group needs. It speaks of one generation: when the group has moved on, it is gone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) state: AppState,
    pub(crate) name: GroupName,
    pub(crate) topic: Topic,
    flushes: Arc<Semaphore>,
    upkeep: Arc<Semaphore>,
}

impl Context {
    /// The group as it is registered now.
    pub(crate) fn group(&self) -> Option<Arc<Group>> {
        let snapshot = self.state.deps.catalog.current();
        let group = snapshot.group(&self.name).ok()?;
        (Topic::of(&group.schema) == self.topic).then(|| group.clone())
    }

    /// Waits for its turn to write offline, which bounds the memory of all groups' flushes together.
    pub(crate) async fn flush_turn(&self) -> Option<OwnedSemaphorePermit> {
        self.flushes.clone().acquire_owned().await.ok()
    }

    /// Waits for its turn to compact: one group at a time does.
    pub(crate) async fn upkeep_turn(&self) -> Option<OwnedSemaphorePermit> {
        self.upkeep.clone().acquire_owned().await.ok()
    }
}

/// Adds the background tasks to the service.
pub(crate) fn tasks(service: Service, state: &AppState) -> Service {
    let (supervised, signalled, asked) = (state.clone(), state.clone(), state.clone());
    service
        .task("sinks", move |stop| supervise(supervised, stop))
        .task("signals", move |stop| async move { signalled.signals.run(stop).await })
        .ready_when("online rows", move || asked.replay.check(&asked.deps.catalog.current()))
}

/// Runs the work of all groups until it is told to stop, then waits for it to come to its end.
pub(crate) async fn supervise(state: AppState, stop: CancellationToken) {
    let flushes = Arc::new(Semaphore::new(state.deps.sinks.concurrent_flushes.max(1)));
    let upkeep = Arc::new(Semaphore::new(1));
    let mut revisions = state.deps.catalog.revisions();
    state.replay.begin(&state.deps.catalog.current());
    let mut running: HashMap<(Topic, Duty), (CancellationToken, JoinHandle<()>)> = HashMap::new();
    while !stop.is_cancelled() {
        let snapshot = state.deps.catalog.current();
        let mut wanted = HashSet::new();
        for group in snapshot.groups().filter(|group| group.is_ready()) {
            let topic = Topic::of(&group.schema);
            for duty in duties(group) {
                wanted.insert((topic, duty));
                let runs = running
                    .get(&(topic, duty))
                    .is_some_and(|(_, worker)| !worker.is_finished());
                if !runs {
                    let context = Context {
                        state: state.clone(),
                        name: group.name.clone(),
                        topic,
                        flushes: flushes.clone(),
                        upkeep: upkeep.clone(),
                    };
                    let token = stop.child_token();
                    let worker = tokio::spawn(work(duty, context, token.clone()));
                    running.insert((topic, duty), (token, worker));
                }
            }
        }
        running.retain(|work, (token, worker)| {
            if !wanted.contains(work) {
                token.cancel();
            }
            wanted.contains(work) || !worker.is_finished()
        });
        tokio::select! {
            () = stop.cancelled() => {}
            _ = revisions.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    for (_, worker) in running.into_values() {
        if let Err(panic) = worker.await {
            tracing::error!(%panic, "a worker broke down while it drained");
        }
    }
}

fn duties(group: &Group) -> Vec<Duty> {
    let (online, offline) = (group.is_online(), group.has_history());
    let mut duties = Vec::new();
    if group.uses_row_log() {
        duties.push(Duty::Sinks { online, offline });
    } else if online {
        duties.push(Duty::Follow);
    }
    if offline {
        duties.push(Duty::Upkeep);
    }
    if online && group.ttl.is_some() {
        duties.push(Duty::Sweep);
    }
    duties
}

async fn work(duty: Duty, context: Context, stop: CancellationToken) {
    match duty {
        Duty::Sinks { .. } => sinks::run(context, stop).await,
        Duty::Follow => follower::run(context, stop).await,
        Duty::Upkeep => housekeeping::upkeep(context, stop).await,
        Duty::Sweep => housekeeping::sweep(context, stop).await,
    }
}

/// Waits longer after each failure in a row, up to ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Waits, unless it is told to stop first.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) {
        let millis = 50_u64.saturating_mul(1 << self.failures.min(8)).min(10_000);
        self.failures += 1;
        tokio::select! {
            () = stop.cancelled() => {
                // Whoever still tries while the process drains must not spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            () = tokio::time::sleep(Duration::from_millis(millis)) => {}
        }
    }
}
