//! Runs: recorded in the run store, which every process shares, and each driven by one process at a time.
//!
//! Whoever holds the lease `runs/<id>` drives that run ([`driving`]), level by level ([`levels`]), with every change saved before the next step
//! ([`active`]). A process that dies loses its leases, and others go on with its runs. What is asked of a run by way of a process that does not drive
//! it, is asked in the store.

mod active;
mod driving;
mod following;
mod levels;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use forebay_api::runs::{Run, RunState};
use forebay_model::GroupName;
use forebay_storage::{Leases, RunStore, Saved, StorageError, StoredRun};
use metrics::gauge;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

pub(crate) use driving::lost;
pub(crate) use following::Following;

use crate::{Compute, ComputeConfig, record::RunRecord};
use active::{Active, Versioned};

/// The longest time between two looks at the run store.
const LONGEST_LOOK: Duration = Duration::from_secs(1);
/// How long a cancellation waits for the run to stop.
const STOPPING: Duration = Duration::from_secs(5);
/// How often a change that others get in the way of is tried.
const TRIES: usize = 10;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RunnerError {
    #[error("no run has the id {0}; GET /v1/runs lists them")]
    NotFound(Uuid),
    #[error("the run has {}, so it cannot be {wanted}", .state.as_str())]
    WrongState { state: RunState, wanted: &'static str },
    #[error("as many runs wait as are taken; try again once some of them have finished")]
    Full,
    #[error("the run was changed by somebody else at the same time")]
    Conflict,
    #[error("the record of run {0} cannot be read")]
    Unreadable(Uuid),
    #[error("another process drives the run")]
    Lost,
    #[error("the run store does not answer")]
    Store(#[from] StorageError),
}

/// What is known of a run that is not finished, by whichever process it is driven.
struct Known {
    version: u64,
    state: RunState,
    groups: Vec<GroupName>,
}

/// The runs, as this process takes part in them.
pub(crate) struct Runner {
    compute: Arc<Compute>,
    store: Arc<dyn RunStore>,
    leases: Arc<dyn Leases>,
    config: ComputeConfig,
    /// Those that this process drives.
    active: Mutex<HashMap<Uuid, Arc<Active>>>,
    unfinished: Mutex<BTreeMap<Uuid, Known>>,
    /// Started or resumed here, and not driven yet.
    own: Mutex<HashSet<Uuid>>,
    /// There may be something to drive.
    wake: Notify,
    /// For as many runs as are driven at once.
    places: Semaphore,
    tasks: Semaphore,
}

impl Runner {
    pub fn new(
        compute: Arc<Compute>,
        store: Arc<dyn RunStore>,
        leases: Arc<dyn Leases>,
        config: ComputeConfig,
    ) -> Arc<Self> {
        Arc::new(Self {
            compute,
            store,
            leases,
            active: Mutex::default(),
            unfinished: Mutex::default(),
            own: Mutex::default(),
            wake: Notify::new(),
            places: Semaphore::new(config.parallel_runs.max(1)),
            tasks: Semaphore::new(config.parallel_tasks.max(1)),
            config,
        })
    }

    /// Records a run, for any process to drive it. A run of this id that is there already is left as it is, and shown.
    pub async fn start(&self, record: RunRecord) -> Result<Run, RunnerError> {
        if self.waiting() >= self.config.queued_runs.max(1) {
            return Err(RunnerError::Full);
        }
        let id = record.id;
        match self.put(&record, 0).await {
            Ok(()) => {}
            Err(RunnerError::Conflict) => return self.get(id).await,
            Err(error) => return Err(error),
        }
        self.hand_over(id);
        Ok(record.shown())
    }

    /// A run as it is.
    pub async fn get(&self, id: Uuid) -> Result<Run, RunnerError> {
        if let Some(active) = self.find(id) {
            return Ok(active.shown.borrow().clone());
        }
        Ok(self.load(id).await?.record.shown())
    }

    /// A run as it is and as it changes, whoever drives it.
    pub fn follow(self: &Arc<Self>, id: Uuid) -> Following {
        Following::new(Arc::clone(self), id)
    }

    /// Newest first.
    pub async fn list(&self, before: Option<Uuid>, limit: usize) -> Result<Vec<Run>, RunnerError> {
        let stored = self.store.list(before, limit).await?;
        stored.iter().map(|run| Ok(read(run)?.record.shown())).collect()
    }

    /// Stops what runs and drops what waits. What has succeeded stays.
    pub async fn cancel(self: &Arc<Self>, id: Uuid) -> Result<Run, RunnerError> {
        match self.find(id) {
            Some(active) => active.cancel.cancel(),
            None => self.ask_to_cancel(id).await?,
        }
        // It stops at its next step; whoever waits longer sees it in the run's state.
        let mut following = self.follow(id);
        let stopped = async {
            while let Some(run) = following.next().await? {
                if run.state.is_final() {
                    break;
                }
            }
            Ok::<_, RunnerError>(())
        };
        match tokio::time::timeout(STOPPING, stopped).await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) | Err(_) => self.get(id).await,
        }
    }

    /// Leaves word in the store for the process that drives the run, or will.
    async fn ask_to_cancel(&self, id: Uuid) -> Result<(), RunnerError> {
        for _ in 0..TRIES {
            let Versioned { mut record, version } = self.load(id).await?;
            if record.state.is_final() {
                return Err(RunnerError::WrongState {
                    state: record.state,
                    wanted: "cancelled",
                });
            }
            record.cancel_requested = true;
            match self.put(&record, version).await {
                Ok(()) => {
                    self.hand_over(id);
                    return Ok(());
                }
                // It was saved meanwhile by whoever drives it.
                Err(RunnerError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(RunnerError::Conflict)
    }

    /// Tries again what has not succeeded.
    pub async fn resume(&self, id: Uuid) -> Result<Run, RunnerError> {
        let Versioned { mut record, version } = self.load(id).await?;
        if !matches!(record.state, RunState::Failed | RunState::Cancelled) {
            return Err(RunnerError::WrongState {
                state: record.state,
                wanted: "resumed",
            });
        }
        if self.waiting() >= self.config.queued_runs.max(1) {
            return Err(RunnerError::Full);
        }
        record.requeue();
        self.put(&record, version).await?;
        self.hand_over(id);
        Ok(record.shown())
    }

    /// The groups that runs are about to compute, in any process.
    pub fn busy(&self) -> Vec<GroupName> {
        let unfinished = self.unfinished.lock();
        unfinished.values().flat_map(|run| run.groups.iter().cloned()).collect()
    }

    /// Looks which runs are not finished, oldest first.
    pub async fn look(&self) -> Result<Vec<Uuid>, RunnerError> {
        let before: HashSet<Uuid> = self.unfinished.lock().keys().copied().collect();
        let stored = self.store.unfinished().await?;
        let mut known = self.unfinished.lock();
        let ids: HashSet<Uuid> = stored.iter().map(|run| run.id).collect();
        // One that was started while the store answered is not among them yet.
        known.retain(|id, _| ids.contains(id) || !before.contains(id));
        for run in &stored {
            let is_known = known.get(&run.id).is_some_and(|known| known.version >= run.version);
            // One that was finished while the store answered is still among them.
            let is_over = before.contains(&run.id) && !known.contains_key(&run.id);
            if is_known || is_over {
                continue;
            }
            if let Ok(Versioned { record, version }) = read(run) {
                known.insert(run.id, Known::of(&record, version));
            }
        }
        Ok(stored.iter().map(|run| run.id).collect())
    }

    fn waiting(&self) -> usize {
        let unfinished = self.unfinished.lock();
        unfinished.values().filter(|run| run.state == RunState::Queued).count()
    }

    /// Tells the gauges.
    pub fn measure(&self) {
        let (mut queued, mut running) = (0_u32, 0_u32);
        for run in self.unfinished.lock().values() {
            match run.state {
                RunState::Queued => queued += 1,
                _ => running += 1,
            }
        }
        gauge!("forebay_runs_unfinished", "state" => "queued").set(f64::from(queued));
        gauge!("forebay_runs_unfinished", "state" => "running").set(f64::from(running));
        gauge!("forebay_runs_queued_limit").set(self.config.queued_runs.max(1) as f64);
    }

    fn hand_over(&self, id: Uuid) {
        self.own.lock().insert(id);
        self.wake.notify_one();
    }

    fn find(&self, id: Uuid) -> Option<Arc<Active>> {
        self.active.lock().get(&id).cloned()
    }

    fn note(&self, record: &RunRecord, version: u64) {
        let mut unfinished = self.unfinished.lock();
        if record.state.is_final() {
            unfinished.remove(&record.id);
        } else {
            unfinished.insert(record.id, Known::of(record, version));
        }
    }

    async fn load(&self, id: Uuid) -> Result<Versioned, RunnerError> {
        let stored = self.store.get(id).await?.ok_or(RunnerError::NotFound(id))?;
        read(&stored)
    }

    /// Saves a record that was read at `version`, once.
    async fn put(&self, record: &RunRecord, version: u64) -> Result<(), RunnerError> {
        let stored = write(record, version + 1)?;
        let saved = match self.store.save(&stored).await {
            Ok(saved) => saved,
            // It may have been done all the same.
            Err(_) if self.is_saved(&stored).await => Saved::Done,
            Err(error) => return Err(error.into()),
        };
        match saved {
            Saved::Done => {
                self.note(record, stored.version);
                Ok(())
            }
            Saved::Conflict => Err(RunnerError::Conflict),
        }
    }

    async fn is_saved(&self, run: &StoredRun) -> bool {
        matches!(self.store.get(run.id).await, Ok(Some(stored)) if stored == *run)
    }

    fn pause_between_looks(&self) -> Duration {
        self.config.poll.as_std().min(LONGEST_LOOK)
    }
}

impl Known {
    fn of(record: &RunRecord, version: u64) -> Self {
        Self {
            version,
            state: record.state,
            groups: record.tasks.iter().map(|task| task.group.clone()).collect(),
        }
    }
}

fn write(record: &RunRecord, version: u64) -> Result<StoredRun, RunnerError> {
    Ok(StoredRun {
        id: record.id,
        version,
        finished: record.state.is_final(),
        content: serde_json::to_string(record).map_err(|error| {
            tracing::error!(%error, "a run cannot be written as JSON");
            RunnerError::Unreadable(record.id)
        })?,
    })
}

fn read(stored: &StoredRun) -> Result<Versioned, RunnerError> {
    let record = serde_json::from_str(&stored.content).map_err(|error| {
        tracing::error!(run = %stored.id, %error, "a run's record cannot be read");
        RunnerError::Unreadable(stored.id)
    })?;
    Ok(Versioned {
        record,
        version: stored.version,
    })
}
