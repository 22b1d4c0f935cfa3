//! Of the rows that a computation gave, those that are not there already.

use std::{
    cmp::Ordering,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering as Atomic},
    },
};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
    compute::{SortOptions, filter_record_batch, max, min},
    datatypes::{DataType, SchemaRef, TimestampMicrosecondType},
    row::{OwnedRow, RowConverter, Rows, SortField},
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::{
    common::{DataFusionError, Result, ScalarValue, internal_err},
    datasource::TableProvider,
    execution::TaskContext,
    logical_expr::{Expr, ident, lit},
    physical_expr::{LexOrdering, PhysicalSortExpr, expressions::Column},
    physical_plan::{
        ExecutionPlan, SendableRecordBatchStream,
        coalesce_partitions::CoalescePartitionsExec,
        execute_stream,
        sorts::sort::SortExec,
        stream::RecordBatchStreamAdapter,
        streaming::{PartitionStream, StreamingTableExec},
    },
    prelude::SessionContext,
};
use forebay_model::GroupSchema;
use forebay_rows::arrow_types::EVENT_TIME;
use forebay_sql::group_schema;
use forebay_storage::TableVersion;
use futures::{StreamExt, stream};
use parking_lot::Mutex;

use crate::{Engine, GroupHistory, QueryError, WinningRows};

/// How many of the rows that are there twice an error shows.
const SHOWN: usize = 5;

/// One key and event time that several rows of one computation have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateRows {
    /// `product_id 1, event_time 2026-01-02T03:04:05Z`; the first few.
    pub shown: Vec<String>,
}

impl fmt::Display for DuplicateRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the query gives more than one row for one key and event time, so that none of them can win: {}",
            self.shown.join("; ")
        )
    }
}

impl std::error::Error for DuplicateRows {}

impl Engine {
    /// Sorts `rows` by key and event time and leaves out those that equal the group's winning row of their key and event time. Both sides are sorted
    /// within the engine's memory, on disk beyond it, and then merged; of the group only the event times that occur are read.
    ///
    /// `rows` have the columns of [`group_schema`]: keys, `event_time`, visible features, none of the first two null. Without `history` nothing is left out.
    ///
    /// # Errors
    /// In the stream: [`DuplicateRows`] as the external error of DataFusion when a key and event time stand there twice; errors of `rows`.
    pub fn unseen_rows(
        &self,
        rows: SendableRecordBatchStream,
        schema: &Arc<GroupSchema>,
        history: Option<GroupHistory>,
    ) -> Result<SendableRecordBatchStream> {
        let columns = visible_columns(schema);
        if rows.schema().fields().len() != columns.fields().len() {
            return internal_err!("rows of {} must have the columns that queries see of it", schema.name);
        }
        let context = self.session();
        let input = Arc::new(OneStream::new(Arc::clone(&columns), rows));
        let source = StreamingTableExec::try_new(
            Arc::clone(&columns),
            vec![Arc::clone(&input) as Arc<dyn PartitionStream>],
            None,
            Vec::<LexOrdering>::new(),
            false,
            None,
        )?;
        let sorted = sort(Arc::new(source), schema, &context)?;
        let merge = Merge {
            context,
            keys: schema.keys.len(),
            order: converter(&columns, 0..=schema.keys.len())?,
            values: converter(
                &columns,
                schema.keys.len() + 1..=columns.fields().len().saturating_sub(1),
            )?,
            sorted,
            history,
            observed: input,
            winners: Winners::NotOpened,
            last: None,
        };
        let unseen = stream::try_unfold(merge, |mut merge| async move {
            Ok(merge.next().await?.map(|batch| (batch, merge)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(columns, unseen)))
    }

    /// A group's table as it is at a version, or newest.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn history_of(
        &self,
        schema: &Arc<GroupSchema>,
        version: Option<TableVersion>,
    ) -> Result<GroupHistory, QueryError> {
        let table = self.tables().group(schema, version).await?;
        Ok(GroupHistory {
            schema: Arc::clone(schema),
            table,
        })
    }
}

fn visible_columns(schema: &GroupSchema) -> SchemaRef {
    group_schema(
        schema.keys.iter().map(|key| (key.name.as_str(), key.key_type.into())),
        schema
            .visible()
            .map(|(_, slot)| (slot.name.as_str(), slot.data_type.clone())),
    )
}

fn converter(columns: &SchemaRef, range: impl Iterator<Item = usize>) -> Result<RowConverter> {
    let fields = range.map(|index| SortField::new(columns.field(index).data_type().clone()));
    Ok(RowConverter::new(fields.collect())?)
}

/// By key and event time, as [`RowConverter`] orders them.
fn sort(
    plan: Arc<dyn ExecutionPlan>,
    schema: &GroupSchema,
    context: &SessionContext,
) -> Result<SendableRecordBatchStream> {
    let columns = (0..=schema.keys.len()).map(|index| {
        let name = plan.schema().field(index).name().clone();
        PhysicalSortExpr::new(Arc::new(Column::new(&name, index)), SortOptions::default())
    });
    let Some(ordering) = LexOrdering::new(columns.collect::<Vec<_>>()) else {
        return internal_err!("a group has a key");
    };
    let single = Arc::new(CoalescePartitionsExec::new(plan));
    execute_stream(Arc::new(SortExec::new(ordering, single)), context.task_ctx())
}

/// A stream as a table that is scanned once; notes the event times that pass.
struct OneStream {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
    least: Arc<AtomicI64>,
    greatest: Arc<AtomicI64>,
}

impl OneStream {
    fn new(schema: SchemaRef, rows: SendableRecordBatchStream) -> Self {
        Self {
            schema,
            rows: Mutex::new(Some(rows)),
            least: Arc::new(AtomicI64::new(i64::MAX)),
            greatest: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }
}

impl fmt::Debug for OneStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneStream")
    }
}

impl PartitionStream for OneStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (least, greatest) = (Arc::clone(&self.least), Arc::clone(&self.greatest));
        let rows = match self.rows.lock().take() {
            Some(rows) => rows.boxed(),
            None => stream::iter([internal_err!("the rows of a computation are read once")]).boxed(),
        };
        let noted = rows.inspect(move |batch| {
            let Some(times) = batch.as_ref().ok().and_then(|batch| batch.column_by_name(EVENT_TIME)) else {
                return;
            };
            let times = times.as_primitive::<TimestampMicrosecondType>();
            if let (Some(from), Some(to)) = (min(times), max(times)) {
                least.fetch_min(from, Atomic::Relaxed);
                greatest.fetch_max(to, Atomic::Relaxed);
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), noted))
    }
}

/// The group's winning rows, sorted, as far as they are read.
#[allow(clippy::large_enum_variant)] // there is one of them
enum Winners {
    NotOpened,
    Open {
        rows: SendableRecordBatchStream,
        current: Option<Current>,
    },
    /// There are none, or all were passed.
    Done,
}

struct Current {
    batch: RecordBatch,
    order: Rows,
    values: Option<Rows>,
    at: usize,
}

struct Merge {
    context: SessionContext,
    keys: usize,
    /// Of keys and event time.
    order: RowConverter,
    /// Of the features.
    values: RowConverter,
    sorted: SendableRecordBatchStream,
    history: Option<GroupHistory>,
    observed: Arc<OneStream>,
    winners: Winners,
    /// The last key and event time seen.
    last: Option<OwnedRow>,
}

impl Merge {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(batch) = self.sorted.next().await.transpose()? {
            if matches!(self.winners, Winners::NotOpened) {
                self.open_winners().await?;
            }
            let order = self.order.convert_columns(&batch.columns()[..=self.keys])?;
            self.refuse_duplicates(&batch, &order)?;
            let keep = self.keep(&batch, &order).await?;
            if keep.true_count() == batch.num_rows() {
                return Ok(Some(batch));
            }
            if keep.true_count() > 0 {
                return Ok(Some(filter_record_batch(&batch, &keep)?));
            }
        }
        Ok(None)
    }

    /// All new rows were read by now, since they were sorted: their event times bound what must be read of the group.
    async fn open_winners(&mut self) -> Result<()> {
        let Some(history) = self.history.take() else {
            self.winners = Winners::Done;
            return Ok(());
        };
        let bound = |time: &AtomicI64| -> Expr {
            lit(ScalarValue::TimestampMicrosecond(
                Some(time.load(Atomic::Relaxed)),
                Some("UTC".into()),
            ))
        };
        let filters = [
            ident(EVENT_TIME).gt_eq(bound(&self.observed.least)),
            ident(EVENT_TIME).lt_eq(bound(&self.observed.greatest)),
        ];
        let schema = Arc::clone(&history.schema);
        let plan = WinningRows::new(history, None)
            .scan(&self.context.state(), None, &filters, None)
            .await?;
        self.winners = Winners::Open {
            rows: sort(plan, &schema, &self.context)?,
            current: None,
        };
        Ok(())
    }

    fn refuse_duplicates(&mut self, batch: &RecordBatch, order: &Rows) -> Result<()> {
        let mut twice = Vec::new();
        for row in 0..order.num_rows() {
            let is_again = match row {
                0 => self.last.as_ref().is_some_and(|last| last.row() == order.row(0)),
                _ => order.row(row - 1) == order.row(row),
            };
            if is_again && twice.len() < SHOWN {
                twice.push(show(batch, self.keys, row)?);
            }
        }
        if !twice.is_empty() {
            twice.dedup();
            return Err(DataFusionError::External(Box::new(DuplicateRows { shown: twice })));
        }
        self.last = order.num_rows().checked_sub(1).map(|row| order.row(row).owned());
        Ok(())
    }

    /// Which rows of a batch are not the winning ones already.
    async fn keep(&mut self, batch: &RecordBatch, order: &Rows) -> Result<BooleanArray> {
        let mut values = None;
        let mut keep = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let is_known = loop {
                let Some(current) = self.winners.current(&self.order, self.keys).await? else {
                    break false;
                };
                match current.order.row(current.at).cmp(&order.row(row)) {
                    Ordering::Less => current.at += 1,
                    Ordering::Greater => break false,
                    Ordering::Equal => {
                        let winner = match &mut current.values {
                            Some(values) => values,
                            none => none.insert(convert(&self.values, &current.batch, self.keys)?),
                        };
                        let mine = match &mut values {
                            Some(values) => values,
                            none => none.insert(convert(&self.values, batch, self.keys)?),
                        };
                        break winner.row(current.at) == mine.row(row);
                    }
                }
            };
            keep.push(!is_known);
        }
        Ok(BooleanArray::from(keep))
    }
}

impl Winners {
    /// The batch in which the next winner stands; none at the end.
    async fn current(&mut self, order: &RowConverter, keys: usize) -> Result<Option<&mut Current>> {
        loop {
            let Self::Open { rows, current } = self else {
                return Ok(None);
            };
            if current
                .as_ref()
                .is_some_and(|current| current.at < current.order.num_rows())
            {
                break;
            }
            match rows.next().await.transpose()? {
                Some(batch) => {
                    *current = Some(Current {
                        order: order.convert_columns(&batch.columns()[..=keys])?,
                        values: None,
                        batch,
                        at: 0,
                    });
                }
                None => *self = Self::Done,
            }
        }
        Ok(match self {
            Self::Open { current, .. } => current.as_mut(),
            _ => None,
        })
    }
}

fn convert(converter: &RowConverter, batch: &RecordBatch, keys: usize) -> Result<Rows> {
    let features: Vec<ArrayRef> = batch.columns()[keys + 1..].iter().map(without_negative_zero).collect();
    Ok(converter.convert_columns(&features)?)
}

/// A sum may be 0.0 in one run and -0.0 in the next, which is no other value.
fn without_negative_zero(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float64 => {
            let floats = array.as_primitive::<arrow::datatypes::Float64Type>();
            Arc::new(floats.unary::<_, arrow::datatypes::Float64Type>(|value| value + 0.0))
        }
        DataType::Float32 => {
            let floats = array.as_primitive::<arrow::datatypes::Float32Type>();
            Arc::new(floats.unary::<_, arrow::datatypes::Float32Type>(|value| value + 0.0))
        }
        _ => Arc::clone(array),
    }
}

fn show(batch: &RecordBatch, keys: usize, row: usize) -> Result<String> {
    let options = FormatOptions::default().with_display_error(true);
    let schema = batch.schema();
    let parts = (0..=keys).map(|index| {
        let value = ArrayFormatter::try_new(batch.column(index).as_ref(), &options)?;
        Ok(format!("{} {}", schema.field(index).name(), value.value(row)))
    });
    Ok(parts.collect::<Result<Vec<_>>>()?.join(", "))
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Float64Array, Int64Array, TimestampMicrosecondArray};
    use forebay_model::{DataType as ModelType, Generation, GroupId, KeyColumn, KeyType, LayoutNumber, Name, Slot};
    use futures::TryStreamExt;

    use super::*;
    use crate::{EngineConfig, OfflineTables, memory_tables::MemoryTables};

    fn group() -> Arc<GroupSchema> {
        Arc::new(GroupSchema {
            name: "product.value".parse().expect("a group"),
            id: GroupId(1),
            generation: Generation(0),
            layout: LayoutNumber(0),
            keys: Arc::from([KeyColumn {
                name: Name::new("product_id").expect("a name"),
                key_type: KeyType::Int64,
            }]),
            slots: Arc::from([Slot {
                name: Name::new("price").expect("a name"),
                data_type: ModelType::Float64,
                since: LayoutNumber(0),
                hidden: false,
            }]),
        })
    }

    fn times(times: Vec<i64>) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
    }

    /// Key, event time, price.
    type Row = (i64, i64, Option<f64>);

    fn batch(rows: &[Row]) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
            times(rows.iter().map(|row| row.1).collect()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
        ];
        RecordBatch::try_new(visible_columns(&group()), columns).expect("a batch")
    }

    /// Stored at ingest time 1000 and later, in this order.
    fn stored(rows: &[(Row, bool)]) -> RecordBatch {
        RecordBatch::try_from_iter([
            (
                "product_id",
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|(row, _)| row.0))) as ArrayRef,
            ),
            ("event_time", times(rows.iter().map(|(row, _)| row.1).collect())),
            (
                "ingest_time",
                times((0..rows.len()).map(|at| 1000 + at as i64).collect()),
            ),
            (
                "price",
                Arc::new(rows.iter().map(|(row, _)| row.2).collect::<Float64Array>()),
            ),
            (
                "_deleted",
                Arc::new(rows.iter().map(|(_, deleted)| Some(*deleted)).collect::<BooleanArray>()),
            ),
        ])
        .expect("a batch")
    }

    async fn unseen(table: &[(Row, bool)], batches: &[&[Row]]) -> Result<Vec<Row>> {
        let spill = tempfile::tempdir().expect("a folder");
        let tables = Arc::new(MemoryTables::default());
        if !table.is_empty() {
            tables.append(&group(), &stored(table));
        }
        let config = EngineConfig {
            batch_rows: 2,
            parallelism: 2,
            ..EngineConfig::new(spill.path())
        };
        let engine = Engine::new(config, Arc::clone(&tables) as Arc<dyn OfflineTables>)?;
        let batches: Vec<Result<RecordBatch>> = batches.iter().map(|rows| Ok(batch(rows))).collect();
        let rows = RecordBatchStreamAdapter::new(visible_columns(&group()), stream::iter(batches));
        let history = match table.is_empty() {
            true => None,
            false => Some(engine.history_of(&group(), None).await.expect("a table")),
        };
        let unseen: Vec<RecordBatch> = engine
            .unseen_rows(Box::pin(rows), &group(), history)?
            .try_collect()
            .await?;
        let rows = unseen.iter().flat_map(|batch| {
            let keys = batch.column(0).as_primitive::<arrow::datatypes::Int64Type>();
            let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
            let prices = batch.column(2).as_primitive::<arrow::datatypes::Float64Type>();
            (0..batch.num_rows())
                .map(|row| (keys.value(row), times.value(row), prices.iter().nth(row).flatten()))
                .collect::<Vec<_>>()
        });
        Ok(rows.collect())
    }

    #[tokio::test]
    async fn rows_that_win_already_are_left_out() {
        let table = [
            ((1, 10, Some(1.0)), false),
            ((1, 20, Some(2.0)), false),
            ((1, 20, Some(2.5)), false),
            ((2, 10, None), false),
            ((3, 10, Some(3.0)), true),
            ((4, 99, Some(4.0)), false),
        ];
        let unseen = unseen(
            &table,
            &[
                &[(3, 10, Some(3.0)), (1, 20, Some(2.0)), (5, 1, Some(0.0))],
                &[(1, 10, Some(1.0)), (2, 10, None)],
                &[(1, 11, Some(1.0)), (2, 9, Some(9.0))],
            ],
        )
        .await
        .expect("rows");
        assert_eq!(
            unseen,
            [
                (1, 11, Some(1.0)),
                // 2.0 was overtaken by 2.5, so it is written again.
                (1, 20, Some(2.0)),
                (2, 9, Some(9.0)),
                // A delete won at that time.
                (3, 10, Some(3.0)),
                (5, 1, Some(0.0)),
            ]
        );
    }

    #[tokio::test]
    async fn without_a_table_all_are_new_and_sorted() {
        let unseen = unseen(&[], &[&[(2, 1, None), (1, 2, None)], &[(1, 1, None)]])
            .await
            .expect("rows");
        assert_eq!(unseen, [(1, 1, None), (1, 2, None), (2, 1, None)]);
    }

    #[tokio::test]
    async fn a_key_and_event_time_twice_is_shown() {
        let rows: &[&[Row]] = &[&[(1, 0, Some(1.0)), (2, 0, None)], &[(1, 1, None), (1, 0, Some(1.0))]];
        let error = unseen(&[], rows).await.expect_err("twice");
        let DataFusionError::External(error) = error else {
            panic!("{error}");
        };
        let twice = error.downcast_ref::<DuplicateRows>().expect("duplicates");
        assert_eq!(twice.shown, ["product_id 1, event_time 1970-01-01T00:00:00Z"]);
    }

    #[tokio::test]
    async fn zero_has_no_sign() {
        let unseen = unseen(&[((1, 1, Some(-0.0)), false)], &[&[(1, 1, Some(0.0))]])
            .await
            .expect("rows");
        assert_eq!(unseen, []);
    }
}
