//! The online sink: rows of the log to the online store, as fast as they come, each partition for itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use forebay_model::{GroupSchema, Timestamp};
use forebay_storage::{Result, Topic};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    boundaries::Boundaries,
    online_partition::OnlinePartition,
    rows::End,
    start::{ONLINE, PartitionStart, online_consumer},
};
use crate::{Store, measures::SinkMeasures, tables::Context};

/// How often it is looked whether what was acknowledged before the start is online.
const CATCH_UP: Duration = Duration::from_millis(20);
/// How often the log is told what it may drop, and the lag measured.
const LET_GO: Duration = Duration::from_secs(1);

pub(crate) struct OnlineSink {
    context: Context,
    /// By partition.
    positions: Vec<Arc<AtomicU64>>,
    /// Where the log ended when the sink began.
    ends: Vec<u64>,
    /// If the log is to keep what the last commit does not tell of.
    boundaries: Option<Arc<Boundaries>>,
    /// Whether the group is kept offline too.
    offline: bool,
    /// Whether the log drops nothing that it was not told to.
    log_waits: bool,
    measures: Arc<SinkMeasures>,
    stop: CancellationToken,
}

impl OnlineSink {
    pub(crate) fn new(
        context: Context,
        ends: Vec<u64>,
        boundaries: Option<Arc<Boundaries>>,
        offline: bool,
        log_waits: bool,
        newest: Option<Timestamp>,
        stop: CancellationToken,
    ) -> Self {
        let measures = context.state.measures.sink(&context.name, Store::Online);
        newest.into_iter().for_each(|newest| measures.saw(newest));
        Self {
            measures,
            positions: ends.iter().map(|_| Arc::default()).collect(),
            context,
            ends,
            boundaries,
            offline,
            log_waits,
            stop,
        }
    }

    /// Runs until all partitions have come to their end.
    pub(crate) async fn run(self, partitions: Vec<PartitionStart>) -> End {
        let mut sinks = JoinSet::new();
        for (partition, start) in (0..).zip(partitions) {
            let sink = OnlinePartition::new(
                self.context.clone(),
                partition,
                start,
                self.offline,
                self.measures.clone(),
                self.positions[partition as usize].clone(),
                self.stop.clone(),
            );
            sinks.spawn(sink.run());
        }
        let mut end = End::Stopped;
        let mut replayed = self.replayed();
        let mut let_go_at = Instant::now();
        loop {
            let pause = if replayed { LET_GO } else { CATCH_UP };
            tokio::select! {
                ended = sinks.join_next() => match ended {
                    None => break,
                    Some(Ok(End::Stopped)) => {}
                    Some(Ok(End::Overtaken)) => {
                        end = End::Overtaken;
                        self.stop.cancel();
                    }
                    Some(Err(panic)) => {
                        tracing::error!(group = %self.context.name, %panic, "a sink broke down and is started again");
                        end = End::Overtaken;
                        self.stop.cancel();
                    }
                },
                () = tokio::time::sleep(pause) => {
                    replayed = replayed || self.replayed();
                    if let_go_at.elapsed() >= LET_GO {
                        let_go_at = Instant::now();
                        self.let_go().await;
                    }
                }
            }
        }
        if self.context.lost.is_cancelled() {
            return end;
        }
        if let Err(error) = self.context.state.deps.online.flush().await {
            tracing::warn!(group = %self.context.name, %error, "the online store could not be flushed; the log is replayed at the next start");
        }
        self.let_go().await;
        end
    }

    /// Whether all that the log held at the start is online.
    fn replayed(&self) -> bool {
        let mut ends = self.positions.iter().zip(&self.ends);
        let caught_up = ends.all(|(position, end)| position.load(Ordering::Acquire) >= *end);
        if caught_up {
            self.context.state.replay.done(self.context.topic);
        }
        caught_up
    }

    /// Lets the log drop what the store holds durably. Should that fail, the next time lets more of it go.
    async fn let_go(&self) {
        let Some(group) = self.context.group() else { return };
        if let Err(error) = self.try_let_go(&group.schema).await {
            tracing::debug!(group = %self.context.name, %error, "the row log keeps what is online for now");
        }
    }

    async fn try_let_go(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        let deps = &self.context.state.deps;
        let topic = Topic::of(schema);
        let bounds = deps.row_log.bounds(schema).await?;
        let ends = self.positions.iter().zip(&bounds);
        let now = deps.clock.now();
        for (partition, (position, (_, end))) in (0..).zip(ends) {
            let lag = end.saturating_sub(position.load(Ordering::Acquire));
            self.measures.lags(partition, lag, now);
        }
        if !self.log_waits {
            return Ok(());
        }
        for partition in (0..).zip(&self.positions).map(|(partition, _)| partition) {
            let Some(durable) = deps.online.progress(&online_consumer(topic, partition)).await? else {
                continue;
            };
            let durable = u64::try_from(durable).unwrap_or_default();
            let upto = match &self.boundaries {
                Some(boundaries) => boundaries.floor(partition, durable),
                None => durable,
            };
            deps.row_log.release(topic, partition, ONLINE, upto).await?;
        }
        Ok(())
    }
}
