//! One execution of the as-of join: index the spine, gather winners, answer; or split and do so part by part.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result, resources_datafusion_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, lit};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::answer::Answer;
use super::candidates::{Candidates, RowRef, TiedVersion, Winners};
use super::exec::{AsOfJoinExec, HistoryRoles, KnownAt, SpineRoles, TieHash, Told};
use super::filter::{MayWin, Shown};
use super::index::SpineIndexBuilder;
use super::kept::{AllKept, KeptRows};
use super::keys::{KeyEncoder, Keys, comparison_type};
use super::metrics::AsOfJoinMetrics;
use super::probe::{HistoryColumns, Probe};
use super::spill::{Disk, FileWriter, MAX_DEPTH, Split};
use super::ties;
use super::time::micros;

/// The filter that the history's scan holds, and the history's deciding columns.
type Published = (Arc<DynamicFilterPhysicalExpr>, Vec<Arc<dyn PhysicalExpr>>);

/// Batches of the answer.
pub(super) type Batches = BoxStream<'static, Result<RecordBatch>>;

/// What every part of one execution shares.
pub(super) struct AsOfJoin {
    spine: Arc<dyn ExecutionPlan>,
    history: Arc<dyn ExecutionPlan>,
    pub(super) tie_breaker: Option<Arc<dyn ExecutionPlan>>,
    pub(super) tie_hash: Arc<dyn TieHash>,
    pub(super) on: SpineRoles,
    pub(super) roles: HistoryRoles,
    pub(super) max_age: Option<i64>,
    pub(super) told: Told,
    pub(super) schema: SchemaRef,
    publish: Option<Published>,
    shown: Arc<Shown>,
    pub(super) context: Arc<TaskContext>,
    pub(super) metrics: AsOfJoinMetrics,
}

/// A part of the join that must fit in memory, or be split.
struct Part {
    spine: SendableRecordBatchStream,
    history: History,
    depth: u32,
}

enum History {
    /// The scan itself, opened once the spine is indexed and its filter is published.
    Scan,
    File(SendableRecordBatchStream),
    Empty,
}

enum Outcome {
    Answered(Answer),
    Split(Vec<Part>),
}

/// Why a task that gathers winners stopped.
struct Gathered {
    kept: KeptRows,
    reservation: MemoryReservation,
    /// What is left of the history when memory ran out.
    rest: Option<SendableRecordBatchStream>,
}

impl AsOfJoin {
    pub(super) fn new(
        exec: &AsOfJoinExec,
        publish: Option<Published>,
        context: Arc<TaskContext>,
        metrics: AsOfJoinMetrics,
    ) -> Self {
        Self {
            spine: Arc::clone(&exec.spine),
            history: Arc::clone(&exec.history),
            tie_breaker: exec.tie_breaker.clone(),
            tie_hash: Arc::clone(&exec.tie_hash),
            on: exec.on.clone(),
            roles: exec.roles.clone(),
            max_age: exec.max_age,
            told: exec.told.clone(),
            schema: Arc::clone(&exec.schema),
            publish,
            shown: Arc::default(),
            context,
            metrics,
        }
    }

    pub(super) async fn run(self: Arc<Self>) -> Result<Batches> {
        let part = Part {
            spine: self.spine.execute(0, Arc::clone(&self.context))?,
            history: History::Scan,
            depth: 0,
        };
        match self.join(part).await? {
            Outcome::Answered(answer) => Ok(self.stream(answer)),
            Outcome::Split(parts) => self.join_parts(parts).await,
        }
    }

    /// The answer, several batches ahead of the reader, in order.
    fn stream(self: Arc<Self>, answer: Answer) -> Batches {
        let ahead = self.context.session_config().target_partitions().max(1);
        let batches = answer.len();
        let answer = Arc::new(answer);
        let output_rows = self.metrics.baseline.clone();
        futures::stream::iter(0..batches)
            .map(move |number| {
                let (join, answer) = (Arc::clone(&self), Arc::clone(&answer));
                SpawnedTask::spawn(async move { answer.batch(&join, number) })
            })
            .buffered(ahead)
            .map(move |batch| {
                let batch = batch.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
                output_rows.record_output(batch.num_rows());
                Ok(batch)
            })
            .boxed()
    }

    /// Joins one part in memory, or splits it.
    async fn join(self: &Arc<Self>, part: Part) -> Result<Outcome> {
        let Part {
            mut spine,
            history,
            depth,
        } = part;
        let timer = self.metrics.index_time.timer();
        let encoder = self.encoder()?;
        let mut builder = SpineIndexBuilder::default();
        let reservation = self.reservation("AsOfJoin spine");
        let mut batches = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        while let Some(batch) = spine.next().await.transpose()? {
            if batch.num_rows() == 0 {
                continue;
            }
            self.index(&mut builder, &encoder, &batch)?;
            rows += batch.num_rows();
            bytes += get_record_batch_memory_size(&batch);
            batches.push(batch);
            if let Err(full) = reservation.try_resize(bytes + builder.memory_size()) {
                drop((builder, timer));
                return self
                    .split_spine(encoder, reservation, batches, Some(spine), history, depth, full)
                    .await;
            }
        }
        if depth == 0 {
            self.metrics.spine_rows.add(rows);
        }
        let index = builder.build(encoder, matches!(self.on.known_at, KnownAt::Column(_)));
        let held = bytes + index.memory_size() + Candidates::memory_size(index.cells());
        if let Err(full) = reservation.try_resize(held) {
            drop(timer);
            let encoder = index.into_encoder();
            return self
                .split_spine(encoder, reservation, batches, None, history, depth, full)
                .await;
        }
        self.metrics.slots.add(index.slots_len());
        self.metrics.peak_mem_used.set_max(reservation.size());
        let probe = Arc::new(Probe {
            candidates: Candidates::new(index.cells()),
            index: Arc::new(index),
            known_at: match self.on.known_at {
                KnownAt::At(micros) => micros,
                _ => i64::MAX,
            },
        });
        drop(timer);
        let streams = self.open(history, &probe)?;
        let gathered = self.gather(&probe, streams).await?;
        if gathered.iter().any(|task| task.rest.is_some()) {
            return self.split_gathered(probe, gathered, reservation, batches, depth).await;
        }
        self.withdraw_filter()?;
        let mut held = vec![reservation];
        let mut kept = AllKept::new(Vec::new(), self.chunk_rows())?;
        for task in gathered {
            held.push(task.reservation);
            kept.add(task.kept)?;
        }
        let winners = self.decide(&probe, &mut kept).await?;
        let index = Arc::clone(&probe.index);
        Ok(Outcome::Answered(Answer::new(batches, index, winners, kept, held)))
    }

    fn encoder(&self) -> Result<KeyEncoder> {
        let history = self.history.schema();
        let types = self
            .roles
            .keys
            .iter()
            .filter_map(|&index| comparison_type(history.field(index).data_type()))
            .collect();
        KeyEncoder::try_new(types)
    }

    fn reservation(&self, name: &str) -> MemoryReservation {
        MemoryConsumer::new(name)
            .with_can_spill(true)
            .register(self.context.memory_pool())
    }

    fn chunk_rows(&self) -> usize {
        self.context.session_config().batch_size()
    }

    fn index(&self, builder: &mut SpineIndexBuilder, encoder: &KeyEncoder, batch: &RecordBatch) -> Result<()> {
        let keys = self.spine_keys(encoder, batch)?;
        let times = micros(batch.column(self.on.time))?;
        match self.on.known_at {
            KnownAt::Column(index) => {
                let known_at = micros(batch.column(index))?;
                builder.push(&keys, times.iter(), known_at.iter())
            }
            _ => builder.push(&keys, times.iter(), std::iter::repeat(Some(i64::MAX))),
        }
    }

    fn spine_keys(&self, encoder: &KeyEncoder, batch: &RecordBatch) -> Result<Keys> {
        let columns: Vec<ArrayRef> = self.on.keys.iter().map(|&key| Arc::clone(batch.column(key))).collect();
        encoder.encode(&columns)
    }

    pub(super) fn history_columns(&self, encoder: &KeyEncoder, batch: &RecordBatch) -> Result<HistoryColumns> {
        let keys: Vec<ArrayRef> = self
            .roles
            .keys
            .iter()
            .map(|&key| Arc::clone(batch.column(key)))
            .collect();
        HistoryColumns::new(
            encoder.encode(&keys)?,
            batch.column(self.roles.event_time),
            self.roles.ingest_time.map(|index| batch.column(index)),
            self.roles.sequence.map(|index| batch.column(index)),
        )
    }

    /// Opens the history; a scan's filter is published first.
    fn open(&self, history: History, probe: &Arc<Probe>) -> Result<Vec<SendableRecordBatchStream>> {
        match history {
            History::Empty => Ok(Vec::new()),
            History::File(stream) => Ok(vec![stream]),
            History::Scan => {
                if let Some((filter, columns)) = &self.publish {
                    // Rows too old to be seen still decide what a spine row is told; if it is told
                    // nothing, they need not be read.
                    let oldest = match (self.max_age, probe.index.time_range()) {
                        (Some(age), Some((first, _)))
                            if self.told.event_time.is_none() && self.told.found.is_none() =>
                        {
                            Some(first.saturating_sub(age))
                        }
                        _ => None,
                    };
                    let schema = self.history.schema();
                    filter.update(MayWin::predicate(
                        &self.shown,
                        probe,
                        &self.roles,
                        columns,
                        &schema,
                        oldest,
                    )?)?;
                    filter.mark_complete();
                }
                self.open_scan()
            }
        }
    }

    fn open_scan(&self) -> Result<Vec<SendableRecordBatchStream>> {
        (0..self.history.output_partitioning().partition_count())
            .map(|partition| self.history.execute(partition, Arc::clone(&self.context)))
            .collect()
    }

    /// Lets go of the index that the published filter holds.
    fn withdraw_filter(&self) -> Result<()> {
        self.shown.hide();
        match &self.publish {
            Some((filter, _)) => filter.update(lit(true)),
            None => Ok(()),
        }
    }

    /// Streams the history past the index, one task per partition.
    async fn gather(
        self: &Arc<Self>,
        probe: &Arc<Probe>,
        streams: Vec<SendableRecordBatchStream>,
    ) -> Result<Vec<Gathered>> {
        let full = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = streams
            .into_iter()
            .enumerate()
            .map(|(task, stream)| {
                let (join, probe, full) = (Arc::clone(self), Arc::clone(probe), Arc::clone(&full));
                SpawnedTask::spawn(async move { join.gather_partition(task as u16, &probe, stream, &full).await })
            })
            .collect();
        join_all(tasks).await
    }

    async fn gather_partition(
        &self,
        task: u16,
        probe: &Probe,
        mut stream: SendableRecordBatchStream,
        full: &AtomicBool,
    ) -> Result<Gathered> {
        let mut kept = KeptRows::new(task, self.history.schema(), self.chunk_rows());
        let reservation = self.reservation("AsOfJoin winners");
        let mut ids = Vec::new();
        while let Some(batch) = stream.next().await.transpose()? {
            let timer = self.metrics.probe_time.timer();
            self.metrics.history_rows.add(batch.num_rows());
            let columns = self.history_columns(probe.index.encoder(), &batch)?;
            let keep = probe.offer(&columns, &mut ids, |ahead| kept.reference(ahead));
            self.metrics.kept_rows.add(keep.true_count());
            kept.push(batch, &keep)?;
            if kept.should_clear() {
                kept.clear_superseded(&probe.candidates)?;
            }
            if reservation.try_resize(kept.memory_size()).is_err() {
                kept.clear_superseded(&probe.candidates)?;
                if reservation.try_resize(kept.memory_size()).is_err() {
                    full.store(true, Ordering::Relaxed);
                }
            }
            timer.done();
            if full.load(Ordering::Relaxed) {
                return Ok(Gathered {
                    kept,
                    reservation,
                    rest: Some(stream),
                });
            }
        }
        self.metrics.peak_mem_used.set_max(reservation.size());
        Ok(Gathered {
            kept,
            reservation,
            rest: None,
        })
    }

    /// Decides what versions leave undecided.
    async fn decide(self: &Arc<Self>, probe: &Probe, kept: &mut AllKept) -> Result<Winners> {
        let index = &probe.index;
        let mut winners = probe.candidates.finish(index);
        let tied = ties::unsettled(&winners.undecided, kept, &self.roles)?;
        if tied.is_empty() {
            return Ok(winners);
        }
        self.metrics.ties.add(tied.len());
        let second = Probe {
            candidates: Candidates::new(index.cells()),
            index: Arc::clone(index),
            known_at: probe.known_at,
        };
        let more = self.offer_tied(&second, &tied, kept).await?;
        kept.add(more)?;
        winners.settle(index, &tied, &second.candidates.finish(index));
        Ok(winners)
    }

    /// Lets the rows of tied versions compete by their hashes.
    async fn offer_tied(
        self: &Arc<Self>,
        probe: &Probe,
        tied: &HashSet<TiedVersion>,
        kept: &AllKept,
    ) -> Result<KeptRows> {
        let mut more = KeptRows::new(kept.tasks(), self.history.schema(), self.chunk_rows());
        let mut whole: Vec<Batches> = match &self.tie_breaker {
            None => vec![futures::stream::iter(kept.chunks.clone()).map(Ok).boxed()],
            Some(plan) => {
                // A plan may be executed once; several parts may need this one.
                let plan = reset_plan_states(Arc::clone(plan))?;
                (0..plan.output_partitioning().partition_count())
                    .map(|partition| Ok(plan.execute(partition, Arc::clone(&self.context))?.boxed()))
                    .collect::<Result<_>>()?
            }
        };
        let history = self.history.schema();
        for stream in &mut whole {
            while let Some(whole) = stream.try_next().await? {
                let batch = ties::project(&whole, &history)?;
                let columns = self.history_columns(probe.index.encoder(), &batch)?;
                let keep = probe.offer_tied(
                    &columns,
                    |version| tied.contains(&version),
                    |row| Ok(self.tie_hash.hash(&whole.slice(row, 1))?[0]),
                    |ahead| more.reference(ahead),
                )?;
                more.push(batch, &keep)?;
            }
        }
        Ok(more)
    }

    /// The spine does not fit: both sides go to disk.
    #[expect(clippy::too_many_arguments)]
    async fn split_spine(
        self: &Arc<Self>,
        encoder: KeyEncoder,
        reservation: MemoryReservation,
        batches: Vec<RecordBatch>,
        rest: Option<SendableRecordBatchStream>,
        history: History,
        depth: u32,
        full: DataFusionError,
    ) -> Result<Outcome> {
        let (spine_disk, history_disk) = self.disks();
        let spine = self
            .write_spine(&encoder, &spine_disk, batches, rest, depth, full)
            .await?;
        drop(reservation);
        let split = Arc::new(Split::new(&history_disk));
        let streams = match history {
            History::Scan => self.open_scan()?,
            History::File(stream) => vec![stream],
            History::Empty => Vec::new(),
        };
        let encoder = Arc::new(encoder);
        let tasks = streams
            .into_iter()
            .map(|mut stream| {
                let (join, encoder, split) = (Arc::clone(self), Arc::clone(&encoder), Arc::clone(&split));
                SpawnedTask::spawn(async move {
                    while let Some(batch) = stream.next().await.transpose()? {
                        let columns = join.history_columns(&encoder, &batch)?;
                        split.write(&batch, columns.keys())?;
                    }
                    Ok(())
                })
            })
            .collect();
        join_all(tasks).await?;
        self.parts(&spine_disk, spine, &history_disk, split, depth)
    }

    /// The winners do not fit: what is kept goes to disk with the rest of the history, of which only
    /// rows that may still win are written.
    async fn split_gathered(
        self: &Arc<Self>,
        probe: Arc<Probe>,
        gathered: Vec<Gathered>,
        reservation: MemoryReservation,
        batches: Vec<RecordBatch>,
        depth: u32,
    ) -> Result<Outcome> {
        let (spine_disk, history_disk) = self.disks();
        let full = resources_datafusion_err!(
            "The rows of a single key do not fit in the memory of the as-of join; raise the query memory limit."
        );
        let encoder = probe.index.encoder();
        let spine = self
            .write_spine(encoder, &spine_disk, batches, None, depth, full)
            .await?;
        let split = Arc::new(Split::new(&history_disk));
        let mut streams = Vec::new();
        for mut task in gathered {
            task.kept.clear_superseded(&probe.candidates)?;
            for chunk in task.kept.into_chunks()? {
                split.write(&chunk, self.history_columns(encoder, &chunk)?.keys())?;
            }
            drop(task.reservation);
            streams.extend(task.rest);
        }
        let tasks = streams
            .into_iter()
            .map(|mut stream| {
                let (join, probe, split) = (Arc::clone(self), Arc::clone(&probe), Arc::clone(&split));
                SpawnedTask::spawn(async move {
                    let mut ids = Vec::new();
                    while let Some(batch) = stream.next().await.transpose()? {
                        let columns = join.history_columns(probe.index.encoder(), &batch)?;
                        // The references lead nowhere: only the versions go on competing.
                        let keep = probe.offer(&columns, &mut ids, |_| RowRef::new(0, 0));
                        let batch = filter_record_batch(&batch, &keep)?;
                        split.write(&batch, join.history_columns(probe.index.encoder(), &batch)?.keys())?;
                    }
                    Ok(())
                })
            })
            .collect();
        join_all(tasks).await?;
        if depth == 0 {
            self.withdraw_filter()?;
        }
        drop((probe, reservation));
        self.parts(&spine_disk, spine, &history_disk, split, depth)
    }

    /// Both sides' files: the spine's with the number of each row, by which the answer is put in order.
    fn disks(&self) -> (Disk, Disk) {
        let spill = &self.metrics.spill;
        let mut fields: Vec<_> = self.spine.schema().fields().iter().cloned().collect();
        fields.push(row_number_field());
        (
            Disk::new(&self.context, spill, Arc::new(Schema::new(fields))),
            Disk::new(&self.context, spill, self.history.schema()),
        )
    }

    async fn write_spine(
        &self,
        encoder: &KeyEncoder,
        disk: &Disk,
        batches: Vec<RecordBatch>,
        rest: Option<SendableRecordBatchStream>,
        depth: u32,
        full: DataFusionError,
    ) -> Result<Split> {
        if depth == MAX_DEPTH {
            return Err(full.context("after splitting the as-of join by key; raise the query memory limit"));
        }
        let split = Split::new(disk);
        let mut next = 0u64;
        let mut batches = futures::stream::iter(batches.into_iter().map(Ok)).boxed();
        if let Some(rest) = rest {
            batches = batches.chain(rest).boxed();
        }
        while let Some(batch) = batches.try_next().await? {
            let keys = self.spine_keys(encoder, &batch)?;
            // A part's rows are numbered already.
            let batch = match depth {
                0 => {
                    let last = next + batch.num_rows() as u64;
                    let mut columns = batch.columns().to_vec();
                    columns.push(Arc::new(UInt64Array::from_iter_values(next..last)));
                    next = last;
                    RecordBatch::try_new(Arc::clone(disk.schema()), columns)?
                }
                _ => batch,
            };
            split.write(&batch, &keys)?;
        }
        if depth == 0 && next > 0 {
            self.metrics.spine_rows.add(next as usize);
        }
        Ok(split)
    }

    fn parts(
        &self,
        spine_disk: &Disk,
        spine: Split,
        history_disk: &Disk,
        history: Arc<Split>,
        depth: u32,
    ) -> Result<Outcome> {
        let history = Arc::into_inner(history)
            .ok_or_else(|| DataFusionError::Internal("a spill file is still being written".to_owned()))?
            .finish()?;
        let mut parts = Vec::new();
        for (spine, history) in spine.finish()?.into_iter().zip(history) {
            let Some(spine) = spine else {
                continue;
            };
            parts.push(Part {
                spine: spine_disk.read(spine)?,
                history: match history {
                    Some(file) => History::File(history_disk.read(file)?),
                    None => History::Empty,
                },
                depth: depth + 1,
            });
        }
        Ok(Outcome::Split(parts))
    }

    /// Joins part after part into files, then merges these by row number.
    async fn join_parts(self: Arc<Self>, mut parts: Vec<Part>) -> Result<Batches> {
        let mut fields: Vec<_> = self.schema.fields().iter().cloned().collect();
        fields.push(row_number_field());
        let numbered = Arc::new(Schema::new(fields));
        let disk = Disk::new(&self.context, &self.metrics.spill, Arc::clone(&numbered));
        let mut answers = Vec::new();
        while let Some(part) = parts.pop() {
            match self.join(part).await? {
                Outcome::Split(smaller) => parts.extend(smaller),
                Outcome::Answered(answer) => {
                    let mut file = FileWriter::new(disk.clone());
                    for number in 0..answer.len() {
                        file.write(&answer.numbered_batch(&self, number, &numbered)?)?;
                    }
                    answers.extend(file.finish()?);
                }
            }
        }
        merge(&self, &disk, answers)
    }
}

/// Puts the parts' answers in the order of the spine.
fn merge(
    join: &AsOfJoin,
    disk: &Disk,
    answers: Vec<Arc<dyn datafusion::execution::spill_file::SpillFile>>,
) -> Result<Batches> {
    use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
    use datafusion::physical_expr::LexOrdering;
    use datafusion::physical_expr::expressions::Column;
    use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;

    let row_number = disk.schema().fields().len() - 1;
    let streams = answers
        .into_iter()
        .map(|file| disk.read(file))
        .collect::<Result<Vec<_>>>()?;
    let by_row = PhysicalSortExpr::new_default(Arc::new(Column::new(ROW_NUMBER, row_number)));
    let Some(by_row) = LexOrdering::new([by_row]) else {
        return Err(DataFusionError::Internal("an ordering by row number".to_owned()));
    };
    // The merge holds a few batches per part, which is bounded by itself; it must not fail on a pool
    // that other operators of the query have filled.
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    let merged = StreamingMergeBuilder::new()
        .with_streams(streams)
        .with_schema(Arc::clone(disk.schema()))
        .with_expressions(&by_row)
        .with_metrics(join.metrics.baseline.clone())
        .with_batch_size(join.chunk_rows())
        .with_reservation(MemoryConsumer::new("AsOfJoin merge").register(&pool))
        .build()?;
    let columns: Vec<usize> = (0..row_number).collect();
    Ok(merged.map(move |batch| Ok(batch?.project(&columns)?)).boxed())
}

const ROW_NUMBER: &str = "__row_number";

fn row_number_field() -> Arc<Field> {
    Arc::new(Field::new(ROW_NUMBER, DataType::UInt64, false))
}

/// All results, or the first error; what still runs is then cancelled.
async fn join_all<T: Send + 'static>(tasks: Vec<SpawnedTask<Result<T>>>) -> Result<Vec<T>> {
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        let result = task
            .join_unwind()
            .await
            .map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
        results.push(result?);
    }
    Ok(results)
}
