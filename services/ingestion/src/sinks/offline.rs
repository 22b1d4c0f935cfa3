//! The offline sink: rows of the log to the group's table, in commits that carry the log's positions.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_catalog::Group;
use forebay_model::Timestamp;
use forebay_storage::{
    Advance, Append, AppendError, CommitIdentity, Fetched, LoggedRow, Rejected, Result, RowsError, StorageError, Topic,
};
use futures::{StreamExt, stream};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    arrivals::sort_out,
    batches::record_batches,
    boundaries::Boundaries,
    fetches::Fetches,
    newer::learn,
    note,
    recall::recall,
    rows::End,
    start::{LOG_NOTE, OFFLINE, PartitionStart},
    taken::Taken,
    traces::Traces,
};
use crate::{Store, background::Backoff, measures::SinkMeasures, tables::Context};

/// How long a fetch waits for the first row while there is nothing else to do.
const WAIT: Duration = Duration::from_secs(1);
/// How often it is looked where the log ends, to tell how far the sink lags.
const MEASURE: Duration = Duration::from_secs(1);
/// Attempts of a commit while the process drains; what fails then is committed after the next start.
const LAST_ATTEMPTS: u32 = 3;
/// How long it is tried to bring in what the log held when the sink was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// A fetch is not made smaller than this for the sake of many partitions.
const FETCH_BYTES: usize = 256 << 10;

struct Partition {
    /// Where the table stands.
    committed: u64,
    /// What to fetch next.
    next: u64,
    /// What the log says of rows from `next` on: none of them has an ingest time below this.
    settled: Option<Timestamp>,
    taken: Taken,
    /// The newest event time and the greatest ingest time of what is held.
    newest: Option<Timestamp>,
    reached: Option<Timestamp>,
}

/// What the topic settles to once the sink has come to these offsets, for a log that cannot tell by itself.
struct Settling {
    time: Timestamp,
    ends: Vec<u64>,
}

pub(crate) struct OfflineSink {
    context: Context,
    partitions: Vec<Partition>,
    /// Which topic the positions are of, where one may be deleted and made again.
    log: Option<Uuid>,
    boundaries: Option<Arc<Boundaries>>,
    measures: Arc<SinkMeasures>,
    traces: Traces,
    stop: CancellationToken,
    flush_wanted: Arc<Notify>,
    wanted: bool,
    held: Vec<(u32, LoggedRow)>,
    held_bytes: usize,
    held_since: Option<Instant>,
    /// Records to set aside before the positions move past them.
    rejected: Vec<Rejected>,
    flushed_at: Option<Instant>,
    settling: Option<Settling>,
    /// What the topic has settled to once the rows at hand are committed.
    settles_to: Option<Timestamp>,
    measured_at: Option<Instant>,
}

impl Drop for OfflineSink {
    fn drop(&mut self) {
        self.traces.give_up();
    }
}

impl OfflineSink {
    pub(crate) fn new(
        context: Context,
        partitions: Vec<PartitionStart>,
        log: Option<Uuid>,
        boundaries: Option<Arc<Boundaries>>,
        newest: Option<Timestamp>,
        stop: CancellationToken,
    ) -> Self {
        let measures = context.state.measures.sink(&context.name, Store::Offline);
        newest.into_iter().for_each(|newest| measures.saw(newest));
        let partitions = partitions.into_iter().map(|start| Partition {
            committed: start.position,
            next: start.next,
            settled: None,
            taken: start.taken,
            newest: None,
            reached: None,
        });
        Self {
            partitions: partitions.collect(),
            log,
            boundaries,
            measures,
            traces: Traces::new(&context.name, Store::Offline),
            stop,
            flush_wanted: context.state.positions.flush_wanted(context.topic),
            wanted: false,
            held: Vec::new(),
            held_bytes: 0,
            held_since: None,
            rejected: Vec::new(),
            flushed_at: None,
            settling: None,
            settles_to: None,
            measured_at: None,
            context,
        }
    }

    /// Runs until it is told to stop and has committed what the log held then, its group is gone, its table belongs to another process, or another sink has moved
    /// the table.
    pub(crate) async fn run(mut self) -> End {
        let mut backoff = Backoff::default();
        let mut fetches = Fetches::new(self.context.state.deps.row_log.clone(), self.partitions.len());
        while !self.stop.is_cancelled() {
            let Some(group) = self.context.group() else {
                return End::Stopped;
            };
            match self.step(&group, &mut fetches).await {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    fetches.clear();
                    if let Some(end) = self.after(&group, error).await {
                        return end;
                    }
                    backoff.wait(&self.stop).await;
                }
            }
        }
        if !self.context.lost.is_cancelled()
            && let Some(group) = self.context.group()
            && let Err(error) = self.drain(&group, &mut fetches).await
        {
            return self.after(&group, error).await.unwrap_or(End::Stopped);
        }
        End::Stopped
    }

    /// What an error means; `None`: it is tried again.
    async fn after(&self, group: &Group, error: AppendError) -> Option<End> {
        match error {
            AppendError::Moved { expected, found, .. } => {
                tracing::warn!(group = %group.name, expected, found, "another sink has moved the table; this one begins again");
                Some(End::Overtaken)
            }
            AppendError::Storage(error @ StorageError::Gone { .. }) => {
                tracing::warn!(group = %group.name, %error, "the log has lost what the sink needs; it begins again");
                Some(End::Overtaken)
            }
            AppendError::Storage(error) if learn(&self.context, &error).await => None,
            error => {
                self.measures.failed();
                tracing::warn!(group = %group.name, %error, "rows cannot be brought offline; it is tried again");
                None
            }
        }
    }

    /// Takes what comes next, and commits when it is time.
    async fn step(&mut self, group: &Arc<Group>, fetches: &mut Fetches) -> Result<(), AppendError> {
        self.settle(group).await?;
        if !self.is_due() {
            self.fetch_all(group, fetches, WAIT);
            let due = self.due_in().unwrap_or(WAIT).min(WAIT);
            tokio::select! {
                (partition, fetched) = fetches.next() => self.hold(group, partition, fetched?).await?,
                () = self.flush_wanted.notified() => self.wanted = true,
                () = tokio::time::sleep(due) => {}
                () = self.stop.cancelled() => return Ok(()),
            }
        }
        self.measure(group).await?;
        self.settle(group).await?;
        if self.is_due() {
            self.flush(group).await?;
        }
        Ok(())
    }

    /// Brings in what the log holds now, and commits it.
    async fn drain(&mut self, group: &Arc<Group>, fetches: &mut Fetches) -> Result<(), AppendError> {
        let begun = Instant::now();
        fetches.clear();
        let bounds = self.context.state.deps.row_log.bounds(&group.schema).await?;
        self.settling = None;
        self.settle(group).await?;
        while begun.elapsed() < DRAIN && !self.context.lost.is_cancelled() {
            let missing: Vec<usize> = (0..self.partitions.len())
                .filter(|index| self.partitions[*index].next < bounds.get(*index).map_or(0, |bounds| bounds.1))
                .collect();
            if missing.is_empty() {
                break;
            }
            let mut moved = false;
            for index in missing {
                let before = self.partitions[index].next;
                fetches.begin(&group.schema, index, before, self.fetch_bytes(), Duration::ZERO);
                let (index, fetched) = fetches.next().await;
                self.hold(group, index, fetched?).await?;
                moved |= self.partitions[index].next > before;
                if self.held_bytes >= self.context.state.deps.sinks.flush_bytes {
                    self.flush(group).await?;
                }
            }
            if !moved {
                break;
            }
        }
        self.settle(group).await?;
        self.flush(group).await
    }

    /// What one fetch brings at most: all partitions are fetched from at once.
    fn fetch_bytes(&self) -> usize {
        let bytes = self.context.state.deps.sinks.fetch_bytes;
        (bytes / self.partitions.len().max(1)).max(FETCH_BYTES.min(bytes))
    }

    fn fetch_all(&self, group: &Arc<Group>, fetches: &mut Fetches, wait: Duration) {
        let fetch_bytes = self.fetch_bytes();
        for (index, partition) in self.partitions.iter().enumerate() {
            fetches.begin(&group.schema, index, partition.next, fetch_bytes, wait);
        }
    }

    /// Holds rows until they are committed: all of them, or none when one cannot be read.
    async fn hold(&mut self, group: &Group, index: usize, fetched: Fetched) -> Result<()> {
        let state = &self.context.state;
        let partition = u32::try_from(index).unwrap_or(u32::MAX);
        let of = &mut self.partitions[index];
        let unknown = of.taken.unknown(&fetched.rows);
        if !unknown.is_empty() {
            self.measures.recalled();
            // Of what is held and not committed yet nothing is forgotten.
            let recalled = recall(&state.deps, &group.schema, partition, of.committed, true, &unknown).await?;
            of.taken.recollect(&recalled);
        }
        let (next, settled) = (fetched.next, fetched.settled);
        let tolerance = state.deps.intake.tolerance();
        let now = state.deps.clock.now();
        let arrivals = sort_out(group, partition, fetched, tolerance, &mut of.taken, now)?;
        of.taken.weigh();
        if next > of.next {
            self.held_since.get_or_insert_with(Instant::now);
        }
        of.next = next.max(of.next);
        of.settled = settled.or(of.settled);
        of.newest = of.newest.max(arrivals.newest);
        of.reached = of.reached.max(arrivals.reached);
        self.traces.begin(partition, &arrivals.traces);
        self.held_bytes += arrivals.bytes;
        self.rejected.extend(arrivals.rejected);
        self.held.extend(arrivals.rows.into_iter().map(|row| (partition, row)));
        Ok(())
    }

    /// Finds out what the topic settles to, and publishes it when all rows at hand are committed.
    async fn settle(&mut self, group: &Group) -> Result<()> {
        let told: Option<Vec<Timestamp>> = self.partitions.iter().map(|partition| partition.settled).collect();
        match told {
            // The log knows.
            Some(told) if !told.is_empty() => self.settles_to = self.settles_to.max(told.into_iter().min()),
            _ => self.settle_by_intake(group).await?,
        }
        if self.is_committed()
            && let Some(settled) = self.settles_to.take()
        {
            self.wanted = false;
            self.context.state.settled.publish(self.context.topic, settled);
        }
        Ok(())
    }

    /// For a log whose every writer is this process: what is not in flight is in the log.
    async fn settle_by_intake(&mut self, group: &Group) -> Result<()> {
        let state = &self.context.state;
        if self.log.is_some() {
            // Others write to it, too: the log itself will tell.
            return Ok(());
        }
        if self.settling.is_none() {
            let time = state.in_flight.settle(self.context.topic);
            let bounds = state.deps.row_log.bounds(&group.schema).await?;
            let ends = bounds.into_iter().map(|(_, end)| end).collect();
            self.settling = Some(Settling { time, ends });
        }
        let reached = self.settling.as_ref().is_some_and(|settling| {
            let mut ends = self.partitions.iter().zip(&settling.ends);
            ends.all(|(partition, end)| partition.next >= *end)
        });
        if reached && let Some(settling) = self.settling.take() {
            self.settles_to = self.settles_to.max(Some(settling.time));
        }
        Ok(())
    }

    async fn measure(&mut self, group: &Group) -> Result<()> {
        let deps = &self.context.state.deps;
        if self.measured_at.is_some_and(|at| at.elapsed() < MEASURE) {
            return Ok(());
        }
        self.measured_at = Some(Instant::now());
        if self.is_committed() {
            self.partitions
                .iter_mut()
                .for_each(|partition| partition.taken.forget());
        }
        let bounds = deps.row_log.bounds(&group.schema).await?;
        let ends = self.partitions.iter().zip(&bounds);
        let now = deps.clock.now();
        for (number, (partition, (_, end))) in (0..).zip(ends) {
            self.measures.lags(number, end.saturating_sub(partition.committed), now);
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

    /// Commits the rows at hand.
    async fn flush(&mut self, group: &Arc<Group>) -> Result<(), AppendError> {
        if self.is_committed() {
            return Ok(());
        }
        let _turn = tokio::select! {
            turn = self.context.flush_turn() => turn,
            () = self.context.lost.cancelled() => None,
        };
        let mut backoff = Backoff::default();
        let mut attempts = 0;
        let mut group = group.clone();
        loop {
            if self.context.lost.is_cancelled() {
                // What is at hand is fetched again by whoever has the table now.
                return Ok(());
            }
            let within = self.traces.first();
            let failure = match self.set_aside_and_commit(&group).instrument(within).await {
                Ok(()) => break,
                Err(failure @ AppendError::Moved { .. }) => return Err(failure),
                Err(failure) => failure,
            };
            attempts += 1;
            if self.stop.is_cancelled() && attempts >= LAST_ATTEMPTS {
                return Err(failure);
            }
            let newer = match &failure {
                AppendError::Storage(error) => learn(&self.context, error).await,
                _ => false,
            };
            if !newer {
                self.measures.failed();
                tracing::warn!(group = %group.name, error = %failure, "rows cannot be committed; it is tried again");
            }
            backoff.wait(&self.stop).await;
            // The schema may have been too old for the rows.
            if let Some(newer) = self.context.group() {
                group = newer;
            }
        }
        // The commit stands: from here on nothing may fail before the rows at hand are forgotten.
        let state = self.context.state.clone();
        let topic = Topic::of(&group.schema);
        let count = self.held.len();
        for (partition, state_of) in (0..).zip(&mut self.partitions) {
            state_of.committed = state_of.next;
            state_of
                .newest
                .take()
                .into_iter()
                .for_each(|newest| self.measures.saw(newest));
            if let Some(reached) = state_of.reached.take() {
                self.measures.reached(partition, reached);
            }
            state_of.taken.forget();
            if let Some(boundaries) = &self.boundaries {
                boundaries.add(partition, state_of.committed);
            }
            state
                .positions
                .advance(Store::Offline, topic, partition, state_of.committed);
        }
        if let Some(settled) = self.settles_to.take() {
            state.settled.publish(topic, settled);
        }
        self.traces.end();
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

    async fn set_aside_and_commit(&mut self, group: &Arc<Group>) -> Result<(), AppendError> {
        let deps = &self.context.state.deps;
        if !self.rejected.is_empty() {
            deps.rejected.append(self.rejected.clone()).await?;
            self.measures.set_aside(self.rejected.len());
            self.rejected.clear();
        }
        self.commit(group).await
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
        let batches_held = note::note(
            self.held
                .iter()
                .map(|(partition, row)| (*partition, row.batch, row.ordinal)),
        );
        let mut notes: BTreeMap<String, Json> = BTreeMap::new();
        notes.extend(batches_held.map(|note| (note::NOTE.to_owned(), note)));
        notes.extend(self.log.map(|log| (LOG_NOTE.to_owned(), json!(log))));
        let append = Append {
            identity: CommitIdentity::Positions(moves.collect()),
            rows: stream::iter(batches.into_iter().map(Ok::<_, RowsError>)).boxed(),
            notes,
        };
        let committed = self.context.state.deps.offline.append(&group.schema, append).await?;
        tracing::debug!(group = %group.name, version = committed.version, rows = committed.rows, "rows committed");
        Ok(())
    }
}
