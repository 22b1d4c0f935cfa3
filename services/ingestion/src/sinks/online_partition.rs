//! The online sink of one partition.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use forebay_catalog::Group;
use forebay_model::{Clock, Timestamp};
use forebay_storage::{OnlineRow, Progress, Result, StorageError, Topic};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    arrivals::{Arrivals, sort_out},
    newer::learn,
    recall::recall,
    rows::End,
    start::{PartitionStart, online_consumer},
    taken::Taken,
    traces::Traces,
};
use crate::{Store, background::Backoff, measures::SinkMeasures, tables::Context};

/// How long a fetch waits for the first row.
const WAIT: Duration = Duration::from_millis(500);
/// How long it is tried to bring in what the log held when the sink was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// What came of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stepped {
    Some,
    Nothing,
    /// Rows that were taken could not be brought online.
    GaveUp,
}

pub(crate) struct OnlinePartition {
    context: Context,
    partition: u32,
    next: u64,
    taken: Taken,
    /// Whether the group has an offline sink too, which then sets aside what is no row.
    has_history: bool,
    measures: Arc<SinkMeasures>,
    /// Where it stands, for others to see.
    position: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl OnlinePartition {
    pub(crate) fn new(
        context: Context,
        partition: u32,
        start: PartitionStart,
        has_history: bool,
        measures: Arc<SinkMeasures>,
        position: Arc<AtomicU64>,
        stop: CancellationToken,
    ) -> Self {
        position.store(start.position, Ordering::Release);
        Self {
            context,
            partition,
            next: start.next,
            taken: start.taken,
            has_history,
            measures,
            position,
            stop,
        }
    }

    /// Runs until it is told to stop and has brought in what the log held then, its group is gone, or its table belongs to another process.
    pub(crate) async fn run(mut self) -> End {
        let mut backoff = Backoff::default();
        let mut drain: Option<(Instant, u64)> = None;
        loop {
            let Some(group) = self.context.group() else {
                return End::Stopped;
            };
            if self.context.lost.is_cancelled() {
                return End::Stopped;
            }
            if self.stop.is_cancelled() {
                let (until, end) = match drain {
                    Some(drain) => drain,
                    None => match self.end(&group).await {
                        Ok(end) => *drain.insert((Instant::now() + DRAIN, end)),
                        Err(_) => return End::Stopped,
                    },
                };
                if self.next >= end || Instant::now() > until {
                    return End::Stopped;
                }
            }
            match self.step(&group, drain.is_some()).await {
                Ok(Stepped::GaveUp) => return End::Stopped,
                Ok(stepped) => {
                    backoff.reset();
                    if drain.is_some() && stepped == Stepped::Nothing {
                        return End::Stopped;
                    }
                }
                Err(error @ StorageError::Gone { .. }) => {
                    tracing::warn!(group = %group.name, %error, "the log has lost what the sink needs; it begins again");
                    return End::Overtaken;
                }
                Err(error) if learn(&self.context, &error).await => {}
                Err(error) => {
                    self.measures.failed();
                    tracing::warn!(group = %group.name, %error, "rows cannot be brought online; it is tried again");
                    if drain.is_some() {
                        return End::Stopped;
                    }
                    backoff.wait(&self.stop).await;
                }
            }
        }
    }

    /// Where the partition ends.
    async fn end(&self, group: &Group) -> Result<u64> {
        let bounds = self.context.state.deps.row_log.bounds(&group.schema).await?;
        Ok(bounds.get(self.partition as usize).map_or(0, |bounds| bounds.1))
    }

    /// Brings in what comes next.
    async fn step(&mut self, group: &Arc<Group>, draining: bool) -> Result<Stepped> {
        let deps = &self.context.state.deps;
        let wait = if draining { Duration::ZERO } else { WAIT };
        let fetching = deps
            .row_log
            .fetch(&group.schema, self.partition, self.next, deps.sinks.fetch_bytes, wait);
        let fetched = tokio::select! {
            fetched = fetching => fetched?,
            () = self.stop.cancelled(), if !draining => return Ok(Stepped::Some),
            () = self.context.lost.cancelled() => return Ok(Stepped::GaveUp),
        };
        let next = fetched.next;
        if next <= self.next {
            self.taken.forget();
            return Ok(Stepped::Nothing);
        }
        let unknown = self.taken.unknown(&fetched.rows);
        if !unknown.is_empty() {
            self.measures.recalled();
            let recalling = recall(
                deps,
                &group.schema,
                self.partition,
                self.next,
                self.has_history,
                &unknown,
            );
            let recalled = tokio::select! {
                recalled = recalling => recalled?,
                () = self.context.lost.cancelled() => return Ok(Stepped::GaveUp),
            };
            self.taken.recollect(&recalled);
        }
        let now = deps.clock.now();
        let tolerance = deps.intake.tolerance();
        let arrivals = sort_out(group, self.partition, fetched, tolerance, &mut self.taken, now)?;
        let mut traces = Traces::new(&group.name, Store::Online);
        traces.begin(self.partition, &arrivals.traces);
        let within = traces.first();
        let stepped = self.bring(group, arrivals, next).instrument(within).await;
        match stepped {
            Stepped::GaveUp => traces.give_up(),
            Stepped::Some | Stepped::Nothing => traces.end(),
        }
        Ok(stepped)
    }

    /// Tries until it succeeds, is told to stop or has lost the table. What was taken must not be looked at twice, so that this sink cannot go on after giving up.
    async fn bring(&mut self, group: &Arc<Group>, arrivals: Arrivals, next: u64) -> Stepped {
        let deps = self.context.state.deps.clone();
        let topic = Topic::of(&group.schema);
        if let Some(ripe_at) = arrivals.ripe_at {
            ripen(&*deps.clock, ripe_at, deps.intake.tolerance_ms).await;
        }
        let (newest, reached) = (arrivals.newest, arrivals.reached);
        let mut rejected = arrivals.rejected;
        let rows: Vec<OnlineRow> = arrivals
            .rows
            .into_iter()
            .map(|row| OnlineRow {
                key: row.key,
                row: row.row,
            })
            .collect();
        let count = rows.len();
        let mut backoff = Backoff::default();
        let mut schema = group.schema.clone();
        loop {
            let progress = Progress {
                consumer: online_consumer(topic, self.partition),
                position: i64::try_from(next).unwrap_or(i64::MAX),
            };
            let brought = async {
                if !self.has_history && !rejected.is_empty() {
                    deps.rejected.append(rejected.clone()).await?;
                    self.measures.set_aside(rejected.len());
                    rejected.clear();
                }
                deps.online.upsert(&schema, rows.clone(), Some(progress)).await
            };
            match brought.await {
                Ok(()) => break,
                Err(error) => {
                    if self.context.lost.is_cancelled() || self.stop.is_cancelled() {
                        tracing::warn!(group = %group.name, %error, "rows are brought online later, by whoever has the table then");
                        return Stepped::GaveUp;
                    }
                    if !learn(&self.context, &error).await {
                        self.measures.failed();
                        tracing::warn!(group = %group.name, %error, "rows cannot be brought online; it is tried again");
                        backoff.wait(&self.stop).await;
                    }
                    if let Some(group) = self.context.group() {
                        schema = group.schema.clone();
                    }
                }
            }
        }
        self.next = next;
        self.taken.forget();
        self.position.store(next, Ordering::Release);
        self.context
            .state
            .positions
            .advance(Store::Online, topic, self.partition, next);
        self.measures.took(count);
        newest.into_iter().for_each(|newest| self.measures.saw(newest));
        reached
            .into_iter()
            .for_each(|reached| self.measures.reached(self.partition, reached));
        Stepped::Some
    }
}

/// Waits until a moment that lies no more than the tolerance ahead of the log's clock, which may be another than this one.
async fn ripen(clock: &dyn Clock, ripe_at: Timestamp, tolerance_ms: u64) {
    let longest = Instant::now() + Duration::from_millis(tolerance_ms.saturating_mul(2));
    while clock.now() < ripe_at && Instant::now() < longest {
        let left = ripe_at.micros().saturating_sub(clock.now().micros()).clamp(100, 50_000);
        tokio::time::sleep(Duration::from_micros(left.cast_unsigned())).await;
    }
}
