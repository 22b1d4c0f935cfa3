//! Which runs this process drives, and for how long.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use forebay_api::runs::RunState;
use forebay_storage::Lease;
use forebay_telemetry::{TraceContext, failed, span_under};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::{Active, Runner, RunnerError, Versioned};
use crate::measures;

/// Looks at the run store before a run is tried again.
const AGAIN: u32 = 3;
/// Runs that are waited for because another process drives them, and may die.
const WATCHED: usize = 512;
/// How often a lease is looked at.
const HELD: Duration = Duration::from_millis(250);

/// What ended the driving of a run.
enum End {
    Finished,
    /// The run needs no driver, or has another one.
    NotOurs,
    Lost,
}

impl Runner {
    /// Drives runs that nobody else does, until told to stop. What is under way then goes on in another process, or at the next start.
    pub async fn drive(self: Arc<Self>, stop: CancellationToken) {
        let mut driving: JoinSet<Uuid> = JoinSet::new();
        // With whether it came from here, so that it is about to be driven; the others are driven elsewhere as a rule.
        let mut ours: HashMap<Uuid, bool> = HashMap::new();
        let mut next_try: HashMap<Uuid, Instant> = HashMap::new();
        let mut is_first_look = true;
        loop {
            let mut unfinished = match self.look().await {
                Ok(unfinished) => unfinished,
                Err(error) => {
                    tracing::warn!(%error, "unfinished runs cannot be read; it is tried again");
                    Vec::new()
                }
            };
            let now = Instant::now();
            let look = self.pause_between_looks();
            next_try.retain(|id, _| unfinished.contains(id));
            // Those from here first: the others have somebody who is nearer.
            let own: HashSet<Uuid> = self.own.lock().clone();
            unfinished.retain(|id| !ours.contains_key(id));
            unfinished.sort_by_key(|id| !own.contains(id));
            for id in unfinished {
                let is_own = own.contains(&id);
                let patience = if is_first_look { Duration::ZERO } else { look };
                let is_due = is_own || *next_try.entry(id).or_insert(now + patience) <= now;
                let is_free = self.places_taken(&ours) < self.config.parallel_runs.max(1);
                if !is_due || !is_free || ours.len() >= WATCHED {
                    continue;
                }
                next_try.insert(id, now + AGAIN * look);
                self.own.lock().remove(&id);
                ours.insert(id, is_own);
                let runner = Arc::clone(&self);
                driving.spawn(async move {
                    runner.drive_one(id).await;
                    id
                });
            }
            is_first_look = false;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = driving.join_next(), if !driving.is_empty() => match ended {
                    Ok(id) => {
                        ours.remove(&id);
                    }
                    Err(error) => {
                        tracing::error!(%error, "the driving of a run panicked");
                        // Which one it was is not told; leases keep two of us from driving one run.
                        let active = self.active.lock();
                        ours.retain(|id, _| active.contains_key(id));
                    }
                },
                () = self.wake.notified() => {}
                () = sleep(look) => {}
            }
        }
        driving.shutdown().await;
    }

    /// Runs that are driven here or are about to be.
    fn places_taken(&self, ours: &HashMap<Uuid, bool>) -> usize {
        let active = self.active.lock();
        let taken = ours.iter().filter(|(id, is_own)| **is_own || active.contains_key(*id));
        taken.count()
    }

    /// Waits for the lease of a run, which whoever drives it holds as long as he lives, and drives the run then.
    async fn drive_one(&self, id: Uuid) {
        let name = format!("runs/{id}");
        let lease = tokio::select! {
            lease = self.leases.acquire(&name) => lease,
            // Only a lease that is waited for all the time is known to have run out.
            () = self.finished(id) => return,
        };
        let lease = match lease {
            Ok(lease) => lease,
            Err(error) => {
                tracing::warn!(run = %id, %error, "the lease of a run cannot be acquired; it is tried again");
                return;
            }
        };
        // Others may have more room than this process has by now.
        let Ok(_place) = self.places.try_acquire() else {
            return;
        };
        match self.drive_under(id, &*lease).await {
            Ok(End::Finished | End::NotOurs) => {}
            Ok(End::Lost) | Err(RunnerError::Lost) => {
                tracing::warn!(run = %id, "another process may drive a run by now; it is left to that one");
            }
            Err(error) => {
                tracing::error!(run = %id, %error, "a run stops, since its state cannot be saved; it is taken up again");
            }
        }
    }

    /// Ends when a run is not among the unfinished ones any more.
    async fn finished(&self, id: Uuid) {
        while self.unfinished.lock().contains_key(&id) {
            sleep(self.pause_between_looks()).await;
        }
    }

    async fn drive_under(&self, id: Uuid, lease: &dyn Lease) -> Result<End, RunnerError> {
        let Versioned { record, version } = self.load(id).await?;
        if record.state.is_final() {
            self.note(&record, version);
            return Ok(End::NotOurs);
        }
        if record.driver.is_some() {
            tracing::info!(run = %id, "a run goes on that another process began");
        }
        let active = Arc::new(Active::new(record, version));
        // From now on nobody who drove it before can save anything.
        let driver = Uuid::new_v4();
        {
            let mut versioned = active.record.lock().await;
            versioned.record.take_over(driver);
            let Versioned { record, version } = &mut *versioned;
            match self.put(record, *version).await {
                Ok(()) => *version += 1,
                Err(RunnerError::Conflict) => return Ok(End::NotOurs),
                Err(error) => return Err(error),
            }
            active.shown.send_replace(record.shown());
        }
        self.active.lock().insert(id, Arc::clone(&active));
        let _listed = Listed { runner: self, id };
        let span = self.span(&active, id).await;
        let end = tokio::select! {
            done = self.run_levels(&active).instrument(span.clone()) => done.map(|()| End::Finished),
            () = lost(lease) => Ok(End::Lost),
            () = self.heed(&active, id) => Ok(End::Lost),
        }?;
        if matches!(end, End::Finished) {
            let run = active.shown.borrow();
            measures::ended(&run);
            if run.state == RunState::Failed {
                failed(&span, "failed");
            }
        }
        Ok(end)
    }

    /// A run is always a trace, below the request that asked for it if that is sampled.
    async fn span(&self, active: &Active, id: Uuid) -> Span {
        let versioned = active.record.lock().await;
        let record = &versioned.record;
        let parent = record.trace.as_deref();
        let parent = parent.and_then(|trace| TraceContext::parse(trace.as_bytes(), None));
        span_under!(
            parent.as_ref(),
            "run",
            otel.kind = "internal",
            forebay.run = %id,
            forebay.trigger = record.cause.as_str(),
            forebay.tasks = record.tasks.len(),
        )
    }

    /// Heeds what is asked of a run by way of other processes; ends when one of them drives it.
    async fn heed(&self, active: &Active, id: Uuid) {
        loop {
            sleep(self.pause_between_looks()).await;
            let driver = active.record.lock().await.record.driver;
            match self.load(id).await {
                Ok(found) if found.record.driver != driver => return,
                Ok(found) if found.record.cancel_requested => active.cancel.cancel(),
                Ok(_) => {}
                Err(error) => tracing::debug!(run = %id, %error, "a run cannot be looked at"),
            }
        }
    }
}

/// Ends when the lease is not held any more.
pub(crate) async fn lost(lease: &dyn Lease) {
    while lease.is_held() {
        sleep(HELD).await;
    }
}

/// A run in the list of those that are driven here.
struct Listed<'a> {
    runner: &'a Runner,
    id: Uuid,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.runner.active.lock().remove(&self.id);
    }
}
