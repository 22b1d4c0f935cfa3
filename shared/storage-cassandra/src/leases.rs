//! Leases by name, for those who work on the same tables in several processes.
//!
//! No wall clock takes part, since clocks jump. A holder renews its lease by counting its beat up, and the lease of a holder that does not is taken by
//! somebody who has watched the same beat for the whole duration on a clock of its own. The holder counts from the moment before it sent the renewal, which
//! the watcher can only have seen later, and stops a tenth early, for clocks that do not run alike: so it stops before anybody can take the lease.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use forebay_storage::{Lease, Leases, Result, StorageError};
use tokio::task::JoinHandle;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use uuid::Uuid;

use crate::cluster::{Cluster, Statement, jittered};

const WHAT: &str = "lease store";

pub(crate) const TABLES: &[&str] = &["CREATE TABLE IF NOT EXISTS {}.leases (
        name text PRIMARY KEY, holder uuid, beat bigint, duration_ms bigint
    )"];

const LOOK: Statement = Statement::read(WHAT, "SELECT holder, beat, duration_ms FROM {}.leases WHERE name = ?");
const LOOK_SERIALLY: Statement =
    Statement::serial_read(WHAT, "SELECT holder, beat, duration_ms FROM {}.leases WHERE name = ?");
const MAKE: Statement = Statement::transaction(
    WHAT,
    "INSERT INTO {}.leases (name, holder, beat, duration_ms) VALUES (?, ?, 0, ?) IF NOT EXISTS",
);
const TAKE: Statement = Statement::transaction(
    WHAT,
    "UPDATE {}.leases SET holder = ?, beat = ?, duration_ms = ? WHERE name = ? IF holder = ? AND beat = ?",
);
const RENEW: Statement = Statement::transaction(WHAT, "UPDATE {}.leases SET beat = ? WHERE name = ? IF holder = ?");
const RELEASE: Statement = Statement::transaction(
    WHAT,
    "UPDATE {}.leases SET holder = ?, beat = ? WHERE name = ? IF holder = ?",
);

/// The holder of a lease that nobody holds.
const NOBODY: Uuid = Uuid::nil();

/// Renewals within a lease's duration, so that two may fail.
const RENEWALS: u32 = 4;

/// How often a waiter looks, about.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Gives out leases, each to one holder in the whole cluster.
pub struct CassandraLeases {
    cluster: Arc<Cluster>,
    duration: Duration,
    /// Renewals and releases that are under way.
    tasks: TaskTracker,
}

/// A lease, renewed in the background until it is dropped or lost.
pub struct CassandraLease {
    state: Arc<State>,
    renewing: JoinHandle<()>,
    /// Ends the renewals, and then the lease.
    stop: DropGuard,
}

struct State {
    /// From where `held_until` counts.
    start: Instant,
    /// Nanoseconds. What was not renewed until then is lost, and stays so.
    held_until: AtomicU64,
    lost: AtomicBool,
}

/// A holder's row as somebody saw it.
type Seen = (Uuid, i64, i64);

impl CassandraLeases {
    pub(crate) fn new(cluster: Arc<Cluster>, duration: Duration) -> Self {
        Self {
            cluster,
            duration,
            tasks: TaskTracker::new(),
        }
    }

    /// Waits until leases that were dropped are released in the cluster too, so that others need not wait for them to run out. For an orderly end, when all
    /// are dropped; those that are still held are waited for.
    pub async fn released(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// Waits until the lease is free and takes it.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub(crate) async fn hold(&self, name: &str) -> Result<CassandraLease> {
        let holder = Uuid::new_v4();
        let mut watched: Option<(Seen, Instant)> = None;
        let mut pause = FIRST_LOOK;
        loop {
            let seen: Option<Seen> = self.cluster.row(&LOOK, (name,)).await?;
            let free = match seen {
                None => true,
                Some((NOBODY, ..)) => true,
                Some(seen) => match &watched {
                    Some((before, since)) if *before == seen => since.elapsed() >= promised(seen),
                    _ => {
                        // From after it was read: it may have been renewed just before.
                        watched = Some((seen, Instant::now()));
                        false
                    }
                },
            };
            if free && let Some(lease) = self.take(name, holder, seen).await? {
                return Ok(lease);
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (2 * pause).min(LAST_LOOK).min(self.duration / 4);
        }
    }

    /// Tries to take a lease that nobody holds any more. `None` when somebody else was first.
    async fn take(&self, name: &str, holder: Uuid, seen: Option<Seen>) -> Result<Option<CassandraLease>> {
        let milliseconds = i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX);
        let sent = Instant::now();
        let beat = seen.map_or(0, |(_, beat, _)| beat.wrapping_add(1));
        let mut attempts = self.cluster.attempts(WHAT);
        loop {
            let applied = match seen {
                None => self.cluster.transact(&MAKE, (name, holder, milliseconds)).await,
                Some((before, beat_before, _)) => {
                    let values = (holder, beat, milliseconds, name, before, beat_before);
                    self.cluster.transact(&TAKE, values).await
                }
            };
            if let Ok(true) = applied {
                return Ok(Some(self.taken(name, holder, beat, sent)));
            }
            match self.cluster.row::<Seen>(&LOOK_SERIALLY, (name,)).await {
                Ok(Some((current, ..))) if current == holder => {
                    return Ok(Some(self.taken(name, holder, beat, sent)));
                }
                Ok(current) if current == seen => attempts.again(applied).await?,
                Ok(_) => return Ok(None),
                Err(error) => attempts.again(Err::<(), _>(error)).await?,
            }
        }
    }

    fn taken(&self, name: &str, holder: Uuid, beat: i64, sent: Instant) -> CassandraLease {
        let state = Arc::new(State {
            start: sent,
            held_until: AtomicU64::new(nanos(usable(self.duration))),
            lost: AtomicBool::new(false),
        });
        let stop = CancellationToken::new();
        let renewing = Renewing {
            cluster: self.cluster.clone(),
            state: state.clone(),
            name: name.to_owned(),
            holder,
            beat,
            duration: self.duration,
        };
        CassandraLease {
            state,
            renewing: self.tasks.spawn(renewing.run(stop.clone())),
            stop: stop.drop_guard(),
        }
    }
}

impl CassandraLease {
    /// Gives the lease up and waits until others can take it, for those who take the same one again and again.
    pub(crate) async fn release(self) {
        drop(self.stop);
        // It panicked, or did what it could; either way the lease runs out.
        let _ = self.renewing.await;
    }
}

/// What another's row says about its duration.
fn promised(seen: Seen) -> Duration {
    Duration::from_millis(u64::try_from(seen.2).unwrap_or(0))
}

/// How much of the duration the holder itself uses.
fn usable(duration: Duration) -> Duration {
    duration.mul_f64(0.9)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl State {
    fn is_held(&self) -> bool {
        if self.lost.load(Ordering::Acquire) {
            return false;
        }
        let held = nanos(self.start.elapsed()) < self.held_until.load(Ordering::Acquire);
        if !held {
            self.lost.store(true, Ordering::Release);
        }
        held
    }

    /// A renewal that was sent at this moment was applied. Too late, and the lease stays lost, since its holder may have stopped.
    fn renewed(&self, sent: Instant, duration: Duration) -> bool {
        if !self.is_held() {
            return false;
        }
        let until = nanos(sent.duration_since(self.start) + usable(duration));
        self.held_until.store(until, Ordering::Release);
        !self.lost.load(Ordering::Acquire)
    }
}

impl Lease for CassandraLease {
    fn is_held(&self) -> bool {
        self.state.is_held()
    }
}

#[async_trait]
impl Leases for CassandraLeases {
    async fn acquire(&self, name: &str) -> Result<Box<dyn Lease>> {
        Ok(Box::new(self.hold(name).await?))
    }
}

/// What keeps a lease alive.
struct Renewing {
    cluster: Arc<Cluster>,
    state: Arc<State>,
    name: String,
    holder: Uuid,
    beat: i64,
    duration: Duration,
}

impl Renewing {
    async fn run(mut self, stop: CancellationToken) {
        let mut pause = self.duration / RENEWALS;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            pause = tokio::select! {
                () = stop.cancelled() => break,
                renewed = self.renew() => match renewed {
                    Ok(true) => self.duration / RENEWALS,
                    Ok(false) => {
                        self.state.lost.store(true, Ordering::Release);
                        tracing::warn!(lease = self.name, "a lease went to somebody else");
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(lease = self.name, %error, "a lease could not be renewed; it is tried again");
                        self.duration / (4 * RENEWALS)
                    }
                },
            };
            if !self.state.is_held() {
                tracing::warn!(lease = self.name, "a lease was not renewed in time and is given up");
                break;
            }
        }
        self.state.lost.store(true, Ordering::Release);
        self.release().await;
    }

    async fn renew(&mut self) -> Result<bool> {
        self.beat += 1;
        let sent = Instant::now();
        if self
            .cluster
            .transact(&RENEW, (self.beat, &self.name, self.holder))
            .await?
        {
            Ok(self.state.renewed(sent, self.duration))
        } else {
            Ok(false)
        }
    }

    /// Best done, but not needed: without it others wait until the lease has run out.
    async fn release(&self) {
        let values = (NOBODY, self.beat + 1, &self.name, self.holder);
        if let Err(error) = self.cluster.transact(&RELEASE, values).await {
            let StorageError::TimedOut { .. } = error else {
                tracing::debug!(lease = self.name, %error, "a lease could not be released; it runs out");
                return;
            };
        }
    }
}
