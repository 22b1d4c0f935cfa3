//! The online sink: rows of the log to the online store, as fast as they come.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_catalog::Group;
use forebay_model::GroupSchema;
use forebay_storage::{OnlineRow, Progress, Result, Topic};
use tokio_util::sync::CancellationToken;

use super::{
    batches::heads,
    boundaries::Boundaries,
    rows::End,
    start::{ONLINE, online_consumer},
    taken::Taken,
};
use crate::{
    Store,
    background::{Backoff, Context},
    measures::SinkMeasures,
};

/// How long a fetch waits for the first row.
const WAIT: Duration = Duration::from_millis(500);

/// How often the log is told what it may drop.
const LET_GO: Duration = Duration::from_secs(1);

pub(crate) struct OnlineSink {
    context: Context,
    positions: Vec<u64>,
    taken: Taken,
    boundaries: Arc<Boundaries>,
    /// Whether the group is kept offline too.
    offline: bool,
    measures: SinkMeasures,
    stop: CancellationToken,
    let_go_at: Instant,
}

impl OnlineSink {
    pub(crate) fn new(
        context: Context,
        positions: Vec<u64>,
        taken: Taken,
        boundaries: Arc<Boundaries>,
        offline: bool,
        stop: CancellationToken,
    ) -> Self {
        let measures = SinkMeasures::new(&context.name, Store::Online);
        Self {
            context,
            positions,
            taken,
            boundaries,
            offline,
            measures,
            stop,
            let_go_at: Instant::now(),
        }
    }

    /// Runs until it is told to stop and has brought in what the log holds then, or its group is gone.
    pub(crate) async fn run(mut self) -> End {
        let mut backoff = Backoff::default();
        let mut replayed = match self.context.group() {
            Some(group) => self.replayed(&group).await,
            None => false,
        };
        loop {
            let Some(group) = self.context.group() else {
                return End::Stopped;
            };
            let stopping = self.stop.is_cancelled();
            match self.step(&group, stopping).await {
                Ok(moved) => {
                    backoff.reset();
                    if !replayed {
                        replayed = self.replayed(&group).await;
                    }
                    if stopping && !moved {
                        break;
                    }
                }
                Err(error) => {
                    self.measures.failed();
                    tracing::warn!(group = %group.name, %error, "rows cannot be brought online; it is tried again");
                    if stopping {
                        break;
                    }
                    backoff.wait(&self.stop).await;
                }
            }
        }
        if let Err(error) = self.context.state.deps.online.flush().await {
            tracing::warn!(group = %self.context.name, %error, "the online store could not be flushed; the log is replayed at the next start");
        }
        End::Stopped
    }

    /// Whether the log holds nothing that is not online; said at once, so that a start need not wait for a fetch.
    async fn replayed(&self, group: &Group) -> bool {
        let Ok(bounds) = self.context.state.deps.row_log.bounds(&group.schema).await else {
            return false;
        };
        let caught_up = self
            .positions
            .iter()
            .zip(&bounds)
            .all(|(position, (_, end))| position >= end);
        if caught_up {
            self.context.state.replay.done(self.context.topic);
        }
        caught_up
    }

    /// Brings in what the log holds of each partition, once; tells whether there was anything.
    async fn step(&mut self, group: &Arc<Group>, stopping: bool) -> Result<bool> {
        let deps = self.context.state.deps.clone();
        let wait = match (stopping, self.positions.len()) {
            (true, _) => Duration::ZERO,
            (false, 0 | 1) => WAIT,
            (false, several) => WAIT / u32::try_from(several).unwrap_or(u32::MAX),
        };
        let mut moved = false;
        for (partition, index) in (0..).zip(0..self.positions.len()) {
            let from = self.positions[index];
            let fetch_bytes = deps.sinks.fetch_bytes;
            let fetched = deps
                .row_log
                .fetch(&group.schema, partition, from, fetch_bytes, wait)
                .await?;
            if fetched.next > from {
                let mut rows = Vec::with_capacity(fetched.rows.len());
                let heads = heads(group, &fetched.rows)?;
                for (row, head) in fetched.rows.into_iter().zip(heads) {
                    if self.taken.take(partition, &row, head.ingest_time) {
                        self.measures.saw(head.event_time);
                        rows.push(OnlineRow {
                            key: row.key,
                            row: row.row,
                        });
                    }
                }
                self.upsert(group, partition, rows, fetched.next).await?;
                moved = true;
            }
        }
        if stopping || self.let_go_at.elapsed() > LET_GO {
            self.let_go_at = Instant::now();
            self.let_go(&group.schema).await?;
        }
        self.taken.expire(deps.clock.now());
        self.measures.fresh(deps.clock.now());
        Ok(moved)
    }

    /// Upserts until it succeeds: what was taken must not be looked at twice.
    async fn upsert(&mut self, group: &Arc<Group>, partition: u32, rows: Vec<OnlineRow>, next: u64) -> Result<()> {
        let deps = &self.context.state.deps;
        let topic = Topic::of(&group.schema);
        let count = rows.len();
        let mut backoff = Backoff::default();
        let mut schema = group.schema.clone();
        loop {
            let progress = Progress {
                consumer: online_consumer(topic, partition),
                position: i64::try_from(next).unwrap_or(i64::MAX),
            };
            match deps.online.upsert(&schema, rows.clone(), Some(progress)).await {
                Ok(()) => break,
                Err(error) => {
                    self.measures.failed();
                    tracing::warn!(group = %group.name, %error, "rows cannot be brought online; it is tried again");
                    if self.stop.is_cancelled() {
                        return Err(error);
                    }
                    backoff.wait(&self.stop).await;
                    if let Some(group) = self.context.group() {
                        schema = group.schema.clone();
                    }
                }
            }
        }
        self.positions[partition as usize] = next;
        self.context
            .state
            .positions
            .advance(Store::Online, topic, partition, next);
        self.measures.took(count);
        Ok(())
    }

    /// Lets the log drop what the store holds durably.
    async fn let_go(&mut self, schema: &Arc<GroupSchema>) -> Result<()> {
        let deps = &self.context.state.deps;
        let topic = Topic::of(schema);
        let bounds = deps.row_log.bounds(schema).await?;
        let ends = self.positions.iter().zip(&bounds);
        self.measures
            .lags(ends.map(|(position, (_, end))| end.saturating_sub(*position)).sum());
        for partition in 0..u32::try_from(self.positions.len()).unwrap_or_default() {
            let Some(durable) = deps.online.progress(&online_consumer(topic, partition)).await? else {
                continue;
            };
            let durable = u64::try_from(durable).unwrap_or_default();
            let upto = if self.offline {
                self.boundaries.floor(partition, durable)
            } else {
                durable
            };
            deps.row_log.release(topic, partition, ONLINE, upto).await?;
        }
        Ok(())
    }
}
