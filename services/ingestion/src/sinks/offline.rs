//! The offline sink: rows of the log to the group's table, in commits that carry the log's positions.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_catalog::Group;
use forebay_model::Timestamp;
use forebay_storage::{
    Advance, Append, AppendError, CommitIdentity, LoggedRow, Result, RowsError, StorageError, Topic,
};
use futures::{StreamExt, stream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    batches::{heads, record_batches},
    boundaries::Boundaries,
    rows::End,
    start::OFFLINE,
    taken::{self, Taken},
};
use crate::{
    Store,
    background::{Backoff, Context},
    measures::SinkMeasures,
};

/// How long a fetch waits for the first row while there is nothing else to do.
const WAIT: Duration = Duration::from_secs(1);
/// Attempts of a commit while the process drains; what fails then is committed after the next start.
const LAST_ATTEMPTS: u32 = 3;

struct Partition {
    /// Where the table stands.
    committed: u64,
    /// What to fetch next.
    next: u64,
}

pub(crate) struct OfflineSink {
    context: Context,
    partitions: Vec<Partition>,
    taken: Taken,
    boundaries: Arc<Boundaries>,
    measures: SinkMeasures,
    stop: CancellationToken,
    flush_wanted: Arc<Notify>,
    wanted: bool,
    held: Vec<(u32, LoggedRow)>,
    held_bytes: usize,
    held_since: Option<Instant>,
    flushed_at: Option<Instant>,
    /// What the topic has settled to once the rows at hand are committed.
    settles_to: Option<Timestamp>,
}

impl OfflineSink {
    pub(crate) fn new(
        context: Context,
        positions: Vec<u64>,
        taken: Taken,
        boundaries: Arc<Boundaries>,
        stop: CancellationToken,
    ) -> Self {
        let partitions = positions.into_iter().map(|position| Partition {
            committed: position,
            next: position,
        });
        Self {
            partitions: partitions.collect(),
            taken,
            boundaries,
            measures: SinkMeasures::new(&context.name, Store::Offline),
            stop,
            flush_wanted: context.state.positions.flush_wanted(context.topic),
            wanted: false,
            held: Vec::new(),
            held_bytes: 0,
            held_since: None,
            flushed_at: None,
            settles_to: None,
            context,
        }
    }

    /// Runs until it is told to stop and has committed what the log holds then, its group is gone, or another sink has moved the table.
    pub(crate) async fn run(mut self) -> End {
        let mut backoff = Backoff::default();
        loop {
            let Some(group) = self.context.group() else {
                return End::Stopped;
            };
            let stopping = self.stop.is_cancelled();
            let step = match self.fetch(&group, stopping).await {
                Ok(moved) if self.is_due() || (stopping && !moved) => match self.flush(&group).await {
                    Ok(()) if stopping && !moved => return End::Stopped,
                    done => done,
                },
                Ok(_) => Ok(()),
                Err(error) => Err(error.into()),
            };
            match step {
                Ok(()) => backoff.reset(),
                Err(AppendError::Moved { expected, found, .. }) => {
                    tracing::warn!(group = %group.name, expected, found, "another sink has moved the table; this one begins again");
                    return End::Overtaken;
                }
                Err(error) => {
                    self.measures.failed();
                    tracing::warn!(group = %group.name, %error, "rows cannot be brought offline; it is tried again");
                    if stopping {
                        return End::Stopped;
                    }
                    backoff.wait(&self.stop).await;
                }
            }
        }
    }

    /// Takes rows from the log as long as there is room; tells whether there were any.
    async fn fetch(&mut self, group: &Arc<Group>, stopping: bool) -> Result<bool> {
        let state = self.context.state.clone();
        let deps = &state.deps;
        let topic = Topic::of(&group.schema);
        let settling = state.in_flight.settle(topic);
        let bounds = deps.row_log.bounds(&group.schema).await?;
        let mut wait = if stopping { Duration::ZERO } else { self.patience() };
        let mut moved = false;
        for index in 0..self.partitions.len() {
            let partition = u32::try_from(index).unwrap_or(u32::MAX);
            let from = self.partitions[index]
                .next
                .max(bounds.get(index).map_or(0, |bounds| bounds.0));
            let fetching = deps
                .row_log
                .fetch(&group.schema, partition, from, deps.sinks.fetch_bytes, wait);
            let fetched = tokio::select! {
                fetched = fetching => fetched?,
                () = self.flush_wanted.notified() => {
                    self.wanted = true;
                    wait = Duration::ZERO;
                    deps.row_log.fetch(&group.schema, partition, from, deps.sinks.fetch_bytes, wait).await?
                }
            };
            moved |= fetched.next > self.partitions[index].next;
            self.hold(group, partition, fetched.rows)?;
            self.partitions[index].next = fetched.next.max(from);
        }
        let at_the_end = self
            .partitions
            .iter()
            .zip(&bounds)
            .all(|(partition, (_, end))| partition.next >= *end);
        if at_the_end {
            self.settles_to = Some(settling);
            if self.is_committed() {
                self.wanted = false;
                state.settled.publish(topic, settling);
            }
        }
        let ends = self.partitions.iter().zip(&bounds);
        let lag = ends
            .map(|(partition, (_, end))| end.saturating_sub(partition.committed))
            .sum();
        self.measures.lags(lag);
        self.taken.expire(deps.clock.now());
        self.measures.fresh(deps.clock.now());
        Ok(moved)
    }

    /// Holds rows until they are committed: all of them, or none when one cannot be read.
    fn hold(&mut self, group: &Group, partition: u32, rows: Vec<LoggedRow>) -> Result<()> {
        let heads = heads(group, &rows)?;
        for (row, head) in rows.into_iter().zip(heads) {
            if self.taken.take(partition, &row, head.ingest_time) {
                self.measures.saw(head.event_time);
                self.held_bytes += row.key.len() + row.row.len();
                self.held.push((partition, row));
            }
            self.held_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn is_committed(&self) -> bool {
        self.partitions
            .iter()
            .all(|partition| partition.next == partition.committed)
    }

    /// When the rows at hand are committed at the latest.
    fn due_in(&self) -> Option<Duration> {
        if self.is_committed() {
            return None;
        }
        let sinks = &self.context.state.deps.sinks;
        if self.held_bytes >= sinks.flush_bytes {
            return Some(Duration::ZERO);
        }
        let regular = self.held_since.map_or(Duration::ZERO, |since| {
            sinks.flush_interval().saturating_sub(since.elapsed())
        });
        let early = match (self.wanted, self.flushed_at) {
            (false, _) => regular,
            (true, None) => Duration::ZERO,
            (true, Some(at)) => sinks.early_flush_interval().saturating_sub(at.elapsed()),
        };
        Some(regular.min(early))
    }

    fn is_due(&self) -> bool {
        self.due_in() == Some(Duration::ZERO)
    }

    /// How long to wait for more rows.
    fn patience(&self) -> Duration {
        let several = u32::try_from(self.partitions.len()).unwrap_or(1).max(1);
        self.due_in().unwrap_or(WAIT).min(WAIT) / several
    }

    /// Commits the rows at hand.
    async fn flush(&mut self, group: &Arc<Group>) -> Result<(), AppendError> {
        if self.is_committed() {
            return Ok(());
        }
        let state = self.context.state.clone();
        let _turn = self.context.flush_turn().await;
        let mut backoff = Backoff::default();
        let mut attempts = 0;
        let mut group = group.clone();
        loop {
            let failure = match self.commit(&group).await {
                Ok(()) => break,
                Err(failure @ AppendError::Moved { .. }) => return Err(failure),
                Err(failure) => failure,
            };
            self.measures.failed();
            attempts += 1;
            if self.stop.is_cancelled() && attempts >= LAST_ATTEMPTS {
                return Err(failure);
            }
            tracing::warn!(group = %group.name, error = %failure, "rows cannot be committed; it is tried again");
            backoff.wait(&self.stop).await;
            // The schema may have been too old for the rows.
            if let Some(newer) = self.context.group() {
                group = newer;
            }
        }
        // The commit stands: from here on nothing may fail before the rows at hand are forgotten.
        let topic = Topic::of(&group.schema);
        let count = self.held.len();
        for (partition, state_of) in (0..).zip(&mut self.partitions) {
            state_of.committed = state_of.next;
            self.boundaries.add(partition, state_of.committed);
            state
                .positions
                .advance(Store::Offline, topic, partition, state_of.committed);
        }
        if let Some(settled) = self.settles_to.take() {
            state.settled.publish(topic, settled);
        }
        self.held.clear();
        self.held_bytes = 0;
        self.held_since = None;
        self.flushed_at = Some(Instant::now());
        self.wanted = false;
        self.measures.took(count);
        self.let_go(topic).await;
        Ok(())
    }

    /// Lets the log drop what is committed. Should that fail, the next commit lets more of it go.
    async fn let_go(&self, topic: Topic) {
        for (partition, state_of) in (0..).zip(&self.partitions) {
            let released = self
                .context
                .state
                .deps
                .row_log
                .release(topic, partition, OFFLINE, state_of.committed);
            if let Err(error) = released.await {
                tracing::warn!(group = %self.context.name, %error, "the row log keeps committed rows for now");
            }
        }
    }

    async fn commit(&self, group: &Arc<Group>) -> Result<(), AppendError> {
        let rows: Vec<LoggedRow> = self.held.iter().map(|(_, row)| row.clone()).collect();
        let schema = group.schema.clone();
        let batches = tokio::task::spawn_blocking(move || record_batches(&schema, &rows))
            .await
            .map_err(|panic| StorageError::unavailable("offline sink", panic))??;
        let moves = (0..).zip(&self.partitions).map(|(partition, state)| Advance {
            partition,
            from: state.committed,
            to: state.next,
        });
        let note = taken::note(
            self.held
                .iter()
                .map(|(partition, row)| (*partition, row.batch, row.index)),
        );
        let append = Append {
            identity: CommitIdentity::Positions(moves.collect()),
            rows: stream::iter(batches.into_iter().map(Ok::<_, RowsError>)).boxed(),
            notes: note
                .map(|note| (taken::NOTE.to_owned(), note))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        };
        let committed = self.context.state.deps.offline.append(&group.schema, append).await?;
        tracing::debug!(group = %group.name, version = committed.version, rows = committed.rows, "rows committed");
        Ok(())
    }
}
