//! The scheduler, one among all processes: what is due by the clock or by what was added to the tables that a query reads, and the runs that follow.

mod lag;
mod patience;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use forebay_api::schedule::{Schedule, Scheduled};
use forebay_catalog::{Group, Snapshot};
use forebay_model::{GroupName, Timestamp, definitions::Trigger};
use forebay_storage::Lease;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::{ContextV7, Uuid};

use crate::{
    Compute, ComputeConfig,
    changes::News,
    failure::Failure,
    planning::{self, batch_group},
    reads::Reads,
    record::{Cause, RunRecord, Span},
    runner::Runner,
};
use lag::ScheduleLag;
use patience::Patience;

/// Who of several processes is the scheduler.
const LEASE: &str = "scheduler";

pub(crate) struct Scheduler {
    compute: Arc<Compute>,
    runner: Arc<Runner>,
    config: ComputeConfig,
    patience: Patience,
    lag: ScheduleLag,
}

/// Why a group is due.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Due {
    cause: Cause,
    /// What the group would be computed from: a failure from the same is not tried again at once.
    from: u64,
}

impl Due {
    /// Since when, at the earliest: a clock tells, a change is found.
    fn since(&self, now: Timestamp) -> Timestamp {
        match self.cause {
            Cause::Every | Cause::Cron => Timestamp::from_micros(self.from.cast_signed()),
            Cause::Change | Cause::Request => now,
        }
    }
}

impl Scheduler {
    pub fn new(compute: Arc<Compute>, runner: Arc<Runner>, config: ComputeConfig) -> Self {
        Self {
            compute,
            runner,
            patience: Patience::default(),
            lag: ScheduleLag::default(),
            config,
        }
    }

    /// Tells the gauges.
    pub fn measure(&self) {
        self.lag.measure(self.compute.clock.now());
    }

    /// Starts what is due until told to stop, while this process is the scheduler.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let lease = tokio::select! {
                () = stop.cancelled() => return,
                lease = self.compute.leases.acquire(LEASE) => lease,
            };
            match lease {
                Ok(lease) => {
                    self.lag.leads(true);
                    self.watch_under(&*lease, &stop).await;
                    self.lag.leads(false);
                }
                Err(error) => {
                    tracing::warn!(%error, "the lease of the scheduler cannot be acquired; it is tried again");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(self.config.poll.as_std()) => {}
                    }
                }
            }
        }
    }

    async fn watch_under(&self, lease: &dyn Lease, stop: &CancellationToken) {
        let mut revisions = self.compute.catalog.revisions();
        let mut last_tidied: Option<Timestamp> = None;
        while lease.is_held() {
            if let Err(error) = self.start_due().await {
                tracing::warn!(%error, "the scheduler cannot look; it tries again");
            }
            let now = self.compute.clock.now();
            if last_tidied.is_none_or(|last| now.micros() - last.micros() > 3_600_000_000) {
                last_tidied = Some(now);
                self.forget_old_runs(now).await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.config.poll.as_std()) => {}
                changed = revisions.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn start_due(&self) -> Result<(), Failure> {
        // Another process may have started something.
        self.runner
            .look()
            .await
            .map_err(|error| Failure::passing(error.to_string()))?;
        let snapshot = self.compute.catalog.current();
        let now = self.compute.clock.now();
        let due = self.due(&snapshot, now).await;
        self.lag
            .found(due.iter().map(|(group, due)| (group.clone(), due.since(now))));
        let ready: BTreeMap<GroupName, Due> = due
            .into_iter()
            .filter(|(group, due)| self.patience.allows(group, due.from, now))
            .collect();
        if ready.is_empty() {
            return Ok(());
        }
        self.start(&snapshot, &ready, now).await
    }

    async fn start(&self, snapshot: &Snapshot, due: &BTreeMap<GroupName, Due>, now: Timestamp) -> Result<(), Failure> {
        let Some(record) = self.record(snapshot, due, now) else {
            return Ok(());
        };
        for (group, due) in due {
            // Until it has succeeded, the same is tried at growing distances.
            self.patience.tried(group, due.from, now);
            if let (Cause::Every | Cause::Cron, Some(group)) = (due.cause, batch_group(snapshot, group)) {
                self.compute.marks.set_fired(group.schema.id, now).await?;
            }
        }
        let run = self
            .runner
            .start(record)
            .await
            .map_err(|error| Failure::passing(error.to_string()))?;
        tracing::info!(
            run = run.id,
            tasks = run.tasks.len(),
            trigger = run.trigger,
            "a run was scheduled"
        );
        Ok(())
    }

    /// The run of everything that is due; none when nothing is.
    pub async fn due_run(&self, id: Uuid, now: Timestamp) -> RunRecord {
        let snapshot = self.compute.catalog.current();
        let due = self.due(&snapshot, now).await;
        self.record(&snapshot, &due, now)
            .map(|record| RunRecord {
                id,
                cause: Cause::Request,
                ..record
            })
            .unwrap_or_else(|| planning::plan(id, Cause::Request, now, &snapshot, &BTreeSet::new(), |_| Span::Changes))
    }

    /// What is due, with what is computed from it unless a clock of its own decides that.
    fn record(&self, snapshot: &Snapshot, due: &BTreeMap<GroupName, Due>, now: Timestamp) -> Option<RunRecord> {
        let first = due.values().next()?;
        let busy: BTreeSet<GroupName> = self.runner.busy().into_iter().collect();
        let mut groups: BTreeSet<GroupName> = due.keys().cloned().collect();
        for group in planning::downstream(snapshot, &groups) {
            let follows = batch_group(snapshot, &group)
                .is_some_and(|group| group.is_ready() && trigger(group).is_none_or(|trigger| trigger.on_change));
            if follows && !busy.contains(&group) {
                groups.insert(group);
            }
        }
        let span = |group: &GroupName| match due.get(group).map(|due| due.cause) {
            Some(Cause::Every | Cause::Cron) => Span::SinceLast { end: now },
            _ => Span::Changes,
        };
        let id = run_id(now);
        Some(planning::plan(id, first.cause, now, snapshot, &groups, span))
    }

    async fn due(&self, snapshot: &Snapshot, now: Timestamp) -> BTreeMap<GroupName, Due> {
        let busy: BTreeSet<GroupName> = self.runner.busy().into_iter().collect();
        let mut due = BTreeMap::new();
        for group in snapshot.groups() {
            if !group.is_ready() || busy.contains(&group.name) || batch_group(snapshot, &group.name).is_none() {
                continue;
            }
            match self.is_due(group, snapshot, now).await {
                Ok(Some(cause)) => {
                    due.insert(group.name.clone(), cause);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(group = %group.name, %error, "it cannot be told whether a group is due"),
            }
        }
        due
    }

    async fn is_due(&self, group: &Arc<Group>, snapshot: &Snapshot, now: Timestamp) -> Result<Option<Due>, Failure> {
        let Some(trigger) = trigger(group) else {
            return Ok(None);
        };
        if trigger.on_change {
            let reads = Reads::of(group, snapshot)?;
            let seen = self.compute.marks.seen(group.schema.id).await?;
            let (news, versions) = self
                .compute
                .news(group, &reads, seen.as_ref(), &BTreeMap::new())
                .await?;
            let from = serde_json::to_vec(&(group.revision, versions)).unwrap_or_default();
            return Ok((news != News::Nothing).then(|| Due {
                cause: Cause::Change,
                from: xxhash_rust::xxh3::xxh3_64(&from),
            }));
        }
        let cause = if trigger.every.is_some() {
            Cause::Every
        } else {
            Cause::Cron
        };
        let next = self.next(group, trigger, now).await?;
        Ok(next.filter(|next| *next <= now).map(|next| Due {
            cause,
            from: next.micros().cast_unsigned(),
        }))
    }

    /// When a group's clock strikes next, which may have been; what was missed while nobody looked is made up for once.
    async fn next(&self, group: &Group, trigger: &Trigger, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
        if trigger.on_change {
            return Ok(None);
        }
        let id = group.schema.id;
        match self.compute.marks.fired(id).await? {
            Some(fired) => Ok(trigger.next_after(fired)),
            // The first of `every` comes at once; a cron waits for its hour.
            None if trigger.every.is_some() => Ok(Some(now)),
            None => {
                self.compute.marks.set_fired(id, now).await?;
                Ok(trigger.next_after(now))
            }
        }
    }

    async fn forget_old_runs(&self, now: Timestamp) {
        let oldest = now.saturating_sub(self.config.keep_runs);
        if let Err(error) = self.compute.marks.0.remove_finished(first_run_id(oldest)).await {
            tracing::warn!(%error, "old runs cannot be removed");
        }
    }

    /// What will run, in which order, and when.
    pub async fn schedule(&self) -> Result<Schedule, Failure> {
        let snapshot = self.compute.catalog.current();
        let now = self.compute.clock.now();
        let due = self.due(&snapshot, now).await;
        let batch: BTreeSet<GroupName> = snapshot
            .groups()
            .filter(|group| batch_group(&snapshot, &group.name).is_some())
            .map(|group| group.name.clone())
            .collect();
        let mut items = Vec::new();
        for name in snapshot.graph().in_order(&batch) {
            let Some(group) = batch_group(&snapshot, &name) else {
                continue;
            };
            let (cause, next) = match trigger(group) {
                None => ("request", None),
                Some(trigger) => {
                    let cause = match (trigger.on_change, trigger.every) {
                        (true, _) => "on_change",
                        (false, Some(_)) => "every",
                        (false, None) => "cron",
                    };
                    (cause, self.next(group, trigger, now).await?)
                }
            };
            items.push(Scheduled {
                group: name.to_string(),
                level: u32::try_from(snapshot.graph().level(&name).unwrap_or_default()).unwrap_or(u32::MAX),
                trigger: cause.to_owned(),
                reads: snapshot.graph().reads(&name).map(ToString::to_string).collect(),
                due: due.contains_key(&name),
                next,
                last_success: self.compute.marks.succeeded(group.schema.id).await?,
            });
        }
        Ok(Schedule { items })
    }
}

fn trigger(group: &Group) -> Option<&Trigger> {
    group.definition().batch.as_ref()?.trigger.as_ref()
}

/// Orders the ids of one moment.
static IDS: Mutex<Option<ContextV7>> = Mutex::new(None);

/// A UUID of version 7, so that runs are ordered by their creation, also those of one moment.
pub(crate) fn run_id(now: Timestamp) -> Uuid {
    let micros = now.micros().max(0).cast_unsigned();
    let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or_default();
    let mut ids = IDS.lock();
    let context = ids.get_or_insert_with(ContextV7::new);
    Uuid::new_v7(uuid::Timestamp::from_unix(&*context, micros / 1_000_000, nanos))
}

/// The least id of that moment.
fn first_run_id(at: Timestamp) -> Uuid {
    let millis = (at.micros().max(0) / 1_000).cast_unsigned();
    Uuid::from_u128(u128::from(millis) << 80 | 0x7000_8000_0000_0000_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_creation() {
        let now = Timestamp::from_micros(1_767_225_600_000_123);
        let ids: Vec<Uuid> = (0..1_000).map(|_| run_id(now)).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| *id > first_run_id(now)));
        assert_eq!(first_run_id(now).get_version_num(), 7);
    }
}
