//! The work on each group's table: under its lease, as long as it is held.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_catalog::Group;
use forebay_model::GroupName;
use forebay_storage::{Lease, Result, Topic};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{lease_name, placement::belongs};
use crate::{AppState, background::Backoff, follower, housekeeping, sinks};

/// How often it is looked whether groups have come, gone or become ready, besides when the registry changes.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is looked whether a lease is still held.
const CHECK: Duration = Duration::from_millis(100);
/// A table that belongs to another process is left to it for so long before this one tries, ...
const DEFER: Duration = Duration::from_secs(3);
/// ... and then for no longer than this at a time.
const TRY: Duration = Duration::from_secs(1);
/// A table that was taken although it belongs to another process is kept for so long, since that one seems not to come for it.
const KEEP: Duration = Duration::from_secs(60);
/// Whoever has waited so long for a lease takes it that another process does the work.
const ELSEWHERE: Duration = Duration::from_secs(1);

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
    /// The table's lease is lost: stop where you are, another process works on the table. Whoever is only told to stop may bring its work to an end.
    pub(crate) lost: CancellationToken,
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

/// Runs the work of all groups until it is told to stop, then waits for it to come to its end.
pub(crate) async fn supervise(state: AppState, stop: CancellationToken) {
    let flushes = Arc::new(Semaphore::new(state.deps.sinks.concurrent_flushes.max(1)));
    let upkeep = Arc::new(Semaphore::new(1));
    let mut revisions = state.deps.catalog.revisions();
    state.replay.begin(&state.deps.catalog.current());
    let mut running: HashMap<Topic, (CancellationToken, JoinHandle<()>)> = HashMap::new();
    while !stop.is_cancelled() {
        let snapshot = state.deps.catalog.current();
        let mut wanted = HashSet::new();
        for group in snapshot.groups().filter(|group| group.is_ready()) {
            let topic = Topic::of(&group.schema);
            wanted.insert(topic);
            if running.get(&topic).is_some_and(|(_, worker)| !worker.is_finished()) {
                continue;
            }
            let context = Context {
                state: state.clone(),
                name: group.name.clone(),
                topic,
                lost: CancellationToken::new(),
                flushes: flushes.clone(),
                upkeep: upkeep.clone(),
            };
            let token = stop.child_token();
            let worker = tokio::spawn(table(context, token.clone()));
            running.insert(topic, (token, worker));
        }
        running.retain(|topic, (token, worker)| {
            if !wanted.contains(topic) {
                token.cancel();
            }
            wanted.contains(topic) || !worker.is_finished()
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

/// Works on one table whenever this process has its lease, until it is told to stop or the group is gone.
async fn table(context: Context, stop: CancellationToken) {
    if let Some(group) = context.group()
        && group.uses_row_log()
    {
        let state = &context.state;
        let _ = elsewhere(&context, &stop, state.same_logs.learn(&state.deps, &group.schema)).await;
    }
    let mut backoff = Backoff::default();
    // Until then it is kept, whoever it belongs to.
    let mut keep_until = Instant::now();
    while !stop.is_cancelled() && context.group().is_some() {
        let mine = is_mine(&context);
        if !mine {
            let others = async {
                let begun = Instant::now();
                while begun.elapsed() < DEFER && !is_mine(&context) {
                    tokio::time::sleep(CHECK).await;
                }
            };
            let _ = elsewhere(&context, &stop, others).await;
        }
        let taken = elsewhere(&context, &stop, acquire(&context)).await;
        let lease = match taken {
            None | Some(Ok(None)) => continue,
            Some(Ok(Some(lease))) => lease,
            Some(Err(error)) => {
                tracing::warn!(group = %context.name, %error, "the lease of the table cannot be had; it is tried again");
                backoff.wait(&stop).await;
                continue;
            }
        };
        backoff.reset();
        if !is_mine(&context) {
            keep_until = Instant::now() + KEEP;
        }
        let held = context.state.measures.hold_table();
        let mut context = context.clone();
        context.lost = CancellationToken::new();
        under(&*lease, context, &stop, keep_until).await;
        drop(held);
        drop(lease);
    }
}

/// Whether the table belongs to this process among those that are alive.
fn is_mine(context: &Context) -> bool {
    let peers = context.state.signals.peers();
    belongs(context.topic, peers.me(), &peers.others())
}

/// Waits for the lease; `None` when it is another process's turn.
async fn acquire(context: &Context) -> Result<Option<Box<dyn Lease>>> {
    let name = lease_name(context.topic);
    let acquiring = context.state.deps.leases.acquire(&name);
    tokio::pin!(acquiring);
    loop {
        let again = match is_mine(context) {
            true => LOOK,
            false => TRY,
        };
        tokio::select! {
            lease = &mut acquiring => return lease.map(Some),
            () = tokio::time::sleep(again) => {}
        }
        if !is_mine(context) {
            return Ok(None);
        }
    }
}

/// Waits unless it is told to stop. The store that takes long to be brought up to date here is, if at all, by another process: this one need not wait for it to
/// be ready.
async fn elsewhere<T>(context: &Context, stop: &CancellationToken, waiting: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(waiting);
    tokio::select! {
        () = stop.cancelled() => return None,
        done = &mut waiting => return Some(done),
        () = tokio::time::sleep(ELSEWHERE) => context.state.replay.done(context.topic),
    }
    tokio::select! {
        () = stop.cancelled() => None,
        done = &mut waiting => Some(done),
    }
}

/// Does all duties of a group until the lease is lost or given up, or it is told to stop.
async fn under(lease: &dyn Lease, context: Context, stop: &CancellationToken, keep_until: Instant) {
    let draining = stop.child_token();
    let mut running: HashMap<Duty, (CancellationToken, JoinHandle<()>)> = HashMap::new();
    let mut others_since: Option<Instant> = None;
    while !draining.is_cancelled() {
        let Some(group) = context.group() else {
            draining.cancel();
            break;
        };
        let wanted = match group.is_ready() {
            true => duties(&group),
            false => Vec::new(),
        };
        for duty in &wanted {
            if running.get(duty).is_none_or(|(_, worker)| worker.is_finished()) {
                let token = draining.child_token();
                let worker = tokio::spawn(work(*duty, context.clone(), token.clone()));
                running.insert(*duty, (token, worker));
            }
        }
        running.retain(|duty, (token, worker)| {
            if !wanted.contains(duty) {
                token.cancel();
            }
            wanted.contains(duty) || !worker.is_finished()
        });
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(CHECK) => {}
        }
        if !lease.is_held() {
            tracing::warn!(group = %context.name, "the lease of the table is lost; whatever works on it here stops");
            context.lost.cancel();
            draining.cancel();
        }
        others_since = match is_mine(&context) || Instant::now() < keep_until {
            true => None,
            false => others_since.or_else(|| Some(Instant::now())),
        };
        if others_since.is_some_and(|since| since.elapsed() > DEFER) {
            tracing::info!(group = %context.name, "the table is left to another process");
            draining.cancel();
        }
    }
    let mut workers: Vec<JoinHandle<()>> = running.into_values().map(|(_, worker)| worker).collect();
    while let Some(worker) = workers.last_mut() {
        tokio::select! {
            ended = worker => {
                if let Err(panic) = ended {
                    tracing::error!(group = %context.name, %panic, "a worker broke down while it drained");
                }
                workers.pop();
            }
            () = tokio::time::sleep(CHECK) => {
                if !lease.is_held() {
                    context.lost.cancel();
                }
            }
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
