//! Drives runs: level by level, parallel within a level, every change recorded before the next step.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use forebay_api::runs::{Run, RunState};
use forebay_model::GroupName;
use forebay_storage::{RunStore, Saved, StorageError, StoredRun, TableVersion};
use futures::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore, mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Compute, ComputeConfig,
    execution::{Done, Job},
    failure::Failure,
    record::RunRecord,
};

/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often a save is tried before a run is left to the next start of the process.
const SAVES: u32 = 6;

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
    #[error("the run store does not answer")]
    Store(#[from] StorageError),
}

/// A run that is not finished.
struct Active {
    record: AsyncMutex<Versioned>,
    shown: watch::Sender<Run>,
    cancel: CancellationToken,
    groups: Vec<GroupName>,
}

struct Versioned {
    record: RunRecord,
    version: u64,
}

/// All runs of this process.
pub(crate) struct Runner {
    compute: Arc<Compute>,
    store: Arc<dyn RunStore>,
    config: ComputeConfig,
    active: Mutex<HashMap<Uuid, Arc<Active>>>,
    queue: mpsc::Sender<Uuid>,
    tasks: Semaphore,
}

/// Runs in the order in which they were started.
pub(crate) type Queue = mpsc::Receiver<Uuid>;

impl Runner {
    pub fn new(compute: Arc<Compute>, store: Arc<dyn RunStore>, config: ComputeConfig) -> (Arc<Self>, Queue) {
        let (queue, queued) = mpsc::channel(config.queued_runs.max(1));
        let runner = Self {
            compute,
            store,
            active: Mutex::default(),
            queue,
            tasks: Semaphore::new(config.parallel_tasks.max(1)),
            config,
        };
        (Arc::new(runner), queued)
    }

    /// Records a run and queues it.
    pub async fn start(&self, record: RunRecord) -> Result<Run, RunnerError> {
        let place = self.queue.try_reserve().map_err(|_| RunnerError::Full)?;
        let id = record.id;
        let active = Arc::new(Active::new(record, 0));
        let shown = self.save(&active, |_| {}).await?;
        self.active.lock().insert(id, active);
        place.send(id);
        Ok(shown)
    }

    /// A run as it is.
    pub async fn get(&self, id: Uuid) -> Result<Run, RunnerError> {
        if let Some(active) = self.find(id) {
            return Ok(active.shown.borrow().clone());
        }
        Ok(self.load(id).await?.record.shown())
    }

    /// A run as it is and as it changes; none when it changes no more.
    pub async fn follow(&self, id: Uuid) -> Result<(Run, Option<watch::Receiver<Run>>), RunnerError> {
        match self.find(id) {
            Some(active) => {
                let changes = active.shown.subscribe();
                let now = active.shown.borrow().clone();
                Ok((now, Some(changes)))
            }
            None => Ok((self.load(id).await?.record.shown(), None)),
        }
    }

    /// Newest first.
    pub async fn list(&self, before: Option<Uuid>, limit: usize) -> Result<Vec<Run>, RunnerError> {
        let stored = self.store.list(before, limit).await?;
        stored.iter().map(|run| Ok(read(run)?.record.shown())).collect()
    }

    /// Stops what runs and drops what waits. What has succeeded stays.
    pub async fn cancel(&self, id: Uuid) -> Result<Run, RunnerError> {
        let Some(active) = self.find(id) else {
            let state = self.load(id).await?.record.state;
            return Err(RunnerError::WrongState {
                state,
                wanted: "cancelled",
            });
        };
        active.cancel.cancel();
        let mut changes = active.shown.subscribe();
        // It stops at its next step; whoever waits longer sees it in the run's state.
        let stopped = changes.wait_for(|run| run.state.is_final());
        let _ = tokio::time::timeout(Duration::from_secs(5), stopped).await;
        Ok(active.shown.borrow().clone())
    }

    /// Tries again what has not succeeded.
    pub async fn resume(&self, id: Uuid) -> Result<Run, RunnerError> {
        if let Some(active) = self.find(id) {
            let state = active.shown.borrow().state;
            return Err(RunnerError::WrongState {
                state,
                wanted: "resumed",
            });
        }
        let Versioned { record, version } = self.load(id).await?;
        if !matches!(record.state, RunState::Failed | RunState::Cancelled) {
            return Err(RunnerError::WrongState {
                state: record.state,
                wanted: "resumed",
            });
        }
        let place = self.queue.try_reserve().map_err(|_| RunnerError::Full)?;
        let active = Arc::new(Active::new(record, version));
        let shown = self.save(&active, RunRecord::requeue).await?;
        self.active.lock().insert(id, active);
        place.send(id);
        Ok(shown)
    }

    /// The groups that runs under way are about to compute.
    pub fn busy(&self) -> Vec<GroupName> {
        let active = self.active.lock();
        active.values().flat_map(|run| run.groups.iter().cloned()).collect()
    }

    fn find(&self, id: Uuid) -> Option<Arc<Active>> {
        self.active.lock().get(&id).cloned()
    }

    async fn load(&self, id: Uuid) -> Result<Versioned, RunnerError> {
        let stored = self.store.get(id).await?.ok_or(RunnerError::NotFound(id))?;
        read(&stored)
    }

    /// Changes the record, durably, then shows it.
    async fn save(&self, active: &Active, change: impl FnOnce(&mut RunRecord)) -> Result<Run, RunnerError> {
        let mut versioned = active.record.lock().await;
        change(&mut versioned.record);
        let stored = StoredRun {
            id: versioned.record.id,
            version: versioned.version + 1,
            finished: versioned.record.state.is_final(),
            content: serde_json::to_string(&versioned.record).map_err(|error| {
                tracing::error!(%error, "a run cannot be written as JSON");
                RunnerError::Unreadable(versioned.record.id)
            })?,
        };
        let mut pause = Duration::from_millis(50);
        for attempt in 1.. {
            match self.store.save(&stored).await {
                Ok(Saved::Done) => break,
                // The attempt before may have taken effect although it failed.
                Ok(Saved::Conflict) if attempt > 1 && self.is_saved(&stored).await => break,
                Ok(Saved::Conflict) => return Err(RunnerError::Conflict),
                Err(error) if attempt >= SAVES => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(run = %stored.id, %error, "a run's state cannot be saved; it is tried again")
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        versioned.version = stored.version;
        let shown = versioned.record.shown();
        active.shown.send_replace(shown.clone());
        Ok(shown)
    }

    async fn is_saved(&self, run: &StoredRun) -> bool {
        matches!(self.store.get(run.id).await, Ok(Some(stored)) if stored == *run)
    }

    /// Takes up what was left unfinished, then drives runs until told to stop. What runs at that moment goes on at the next start.
    pub async fn drive(self: Arc<Self>, mut queue: Queue, stop: CancellationToken) {
        let mut driving = JoinSet::new();
        for id in self.recover(&stop).await {
            let runner = Arc::clone(&self);
            driving.spawn(async move { runner.run(id).await });
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = driving.join_next(), if !driving.is_empty() => {}
                Some(id) = queue.recv(), if driving.len() < self.config.parallel_runs.max(1) => {
                    let runner = Arc::clone(&self);
                    driving.spawn(async move { runner.run(id).await });
                }
            }
        }
        driving.shutdown().await;
    }

    async fn recover(&self, stop: &CancellationToken) -> Vec<Uuid> {
        let unfinished = loop {
            match self.store.unfinished().await {
                Ok(unfinished) => break unfinished,
                Err(error) => tracing::warn!(%error, "unfinished runs cannot be read; it is tried again"),
            }
            tokio::select! {
                () = stop.cancelled() => return Vec::new(),
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        };
        let mut found = Vec::new();
        for stored in unfinished {
            let id = stored.id;
            if self.find(id).is_some() {
                continue;
            }
            let resumed = async {
                let Versioned { record, version } = read(&stored)?;
                let active = Arc::new(Active::new(record, version));
                self.save(&active, RunRecord::requeue).await?;
                self.active.lock().insert(id, active);
                Ok::<_, RunnerError>(())
            };
            match resumed.await {
                Ok(()) => {
                    tracing::info!(run = %id, "a run goes on that a process before this one began");
                    found.push(id);
                }
                Err(error) => tracing::error!(run = %id, %error, "a run cannot go on"),
            }
        }
        found
    }

    async fn run(self: Arc<Self>, id: Uuid) {
        let Some(active) = self.find(id) else {
            return;
        };
        if let Err(error) = self.run_levels(&active).await {
            tracing::error!(run = %id, %error, "a run stops, since its state cannot be saved; it goes on at the next start");
        }
        let state = active.shown.borrow().state;
        metrics::counter!("forebay_runs_total", "state" => state.as_str()).increment(1);
        self.active.lock().remove(&id);
    }

    async fn run_levels(&self, active: &Arc<Active>) -> Result<(), RunnerError> {
        if !active.cancel.is_cancelled() {
            self.save(active, |run| run.state = RunState::Running).await?;
        }
        let levels = active.record.lock().await.record.levels();
        for level in levels {
            let waiting: Vec<usize> = {
                let versioned = active.record.lock().await;
                let tasks = versioned.record.tasks.iter().enumerate();
                tasks
                    .filter(|(_, task)| task.shown.level == level && task.shown.state == RunState::Queued)
                    .map(|(index, _)| index)
                    .collect()
            };
            let mut running: FuturesUnordered<_> =
                waiting.into_iter().map(|task| self.run_task(active, task)).collect();
            while let Some(saved) = running.next().await {
                saved?;
            }
        }
        let now = self.compute.clock.now();
        self.save(active, |run| {
            run.state = run.outcome();
            run.finished_at = Some(now);
        })
        .await?;
        Ok(())
    }

    /// Runs one task to its end; an error is one of the run store.
    async fn run_task(&self, active: &Active, task: usize) -> Result<(), RunnerError> {
        let (job, blocked_by) = {
            let versioned = active.record.lock().await;
            let record = &versioned.record;
            let upstream: BTreeMap<GroupName, TableVersion> = record.tasks[task]
                .after
                .iter()
                .map(|before| &record.tasks[*before])
                .filter_map(|before| Some((before.group.clone(), before.shown.version_written?)))
                .collect();
            let job = Job {
                run: record.id,
                group: record.tasks[task].group.clone(),
                span: record.tasks[task].span,
                upstream,
            };
            (job, record.blocked_by(task).cloned())
        };
        let permit = tokio::select! {
            biased;
            () = active.cancel.cancelled() => None,
            permit = self.tasks.acquire() => permit.ok(),
        };
        if permit.is_none() || active.cancel.is_cancelled() {
            return self.finish(active, task, RunState::Cancelled, None).await;
        }
        if let Some(group) = blocked_by {
            let why = format!("`{group}`, which it reads, was not computed");
            return self.finish(active, task, RunState::Skipped, Some(why)).await;
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let now = self.compute.clock.now();
            self.save(active, |run| {
                let shown = &mut run.tasks[task].shown;
                shown.state = RunState::Running;
                shown.attempts += 1;
                shown.started_at.get_or_insert(now);
            })
            .await?;
            let executed = tokio::select! {
                biased;
                () = active.cancel.cancelled() => return self.finish(active, task, RunState::Cancelled, None).await,
                executed = self.compute.execute(&job) => executed,
            };
            match executed {
                Ok(done) => return self.succeed(active, task, done).await,
                Err(failure) if failure.is_passing && attempt < self.config.attempts => {
                    self.pause(active, task, attempt, &failure).await?;
                }
                Err(failure) => {
                    tracing::warn!(group = %job.group, run = %job.run, attempt, "a task failed");
                    return self.finish(active, task, RunState::Failed, Some(failure.message)).await;
                }
            }
        }
    }

    async fn pause(&self, active: &Active, task: usize, attempt: u32, failure: &Failure) -> Result<(), RunnerError> {
        let message = failure.message.clone();
        self.save(active, |run| run.tasks[task].shown.error = Some(message))
            .await?;
        let pause = self
            .config
            .backoff
            .as_std()
            .saturating_mul(1 << (attempt - 1).min(16))
            .min(LONGEST_PAUSE);
        tokio::select! {
            () = active.cancel.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
        Ok(())
    }

    async fn succeed(&self, active: &Active, task: usize, done: Done) -> Result<(), RunnerError> {
        let now = self.compute.clock.now();
        let group = active.groups.get(task).map(ToString::to_string).unwrap_or_default();
        metrics::counter!("forebay_run_rows_total", "group" => group).increment(done.rows_written.unwrap_or_default());
        self.save(active, |run| {
            let shown = &mut run.tasks[task].shown;
            shown.state = RunState::Succeeded;
            shown.finished_at = Some(now);
            shown.error = None;
            shown.start = done.start.or(shown.start);
            shown.end = done.end.or(shown.end);
            shown.rows_read = done.rows_read;
            shown.rows_written = done.rows_written;
            shown.rows_ahead = done.rows_ahead;
            shown.rows_rejected = done.rows_rejected;
            shown.warnings = done.warnings;
            shown.versions_read = done.versions_read;
            shown.version_written = done.version_written;
        })
        .await?;
        Ok(())
    }

    async fn finish(
        &self,
        active: &Active,
        task: usize,
        state: RunState,
        error: Option<String>,
    ) -> Result<(), RunnerError> {
        let now = self.compute.clock.now();
        self.save(active, |run| {
            let shown = &mut run.tasks[task].shown;
            shown.state = state;
            shown.finished_at = Some(now);
            shown.error = error.or(shown.error.take());
        })
        .await?;
        Ok(())
    }
}

impl Active {
    fn new(record: RunRecord, version: u64) -> Self {
        Self {
            shown: watch::Sender::new(record.shown()),
            groups: record.tasks.iter().map(|task| task.group.clone()).collect(),
            record: AsyncMutex::new(Versioned { record, version }),
            cancel: CancellationToken::new(),
        }
    }
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
