//! The operator against a naive oracle.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int8Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int8Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use super::{AsOfJoinExec, Found, HistoryRoles, KnownAt, SpineRoles, TieHash, Told};

#[derive(Debug, Clone)]
struct SpineRow {
    key: Option<i64>,
    part: Option<&'static str>,
    time: Option<i64>,
    known_at: Option<i64>,
}

#[derive(Debug, Clone)]
struct HistoryRow {
    key: Option<i64>,
    part: Option<&'static str>,
    event_time: Option<i64>,
    ingest_time: Option<i64>,
    sequence: Option<i64>,
    deleted: Option<bool>,
    value: Option<i64>,
    label: Option<&'static str>,
    /// A feature that is not asked for.
    other: Option<i64>,
}

/// How the join is run.
#[derive(Debug, Clone)]
struct Setup {
    composite: bool,
    known_at: KnownAt,
    max_age: Option<i64>,
    spine_batch: usize,
    history_batch: usize,
    partitions: usize,
    memory: Option<usize>,
    /// Whether the history lacks the feature that is not asked for.
    tie_breaker: bool,
    /// Whether the history lies in Parquet files, whose scan takes the join's filter.
    files: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Answer {
    value: Option<i64>,
    label: Option<String>,
    event_time: Option<i64>,
    found: i8,
}

fn hash_of(deleted: Option<bool>, value: Option<i64>, label: Option<&str>, other: Option<i64>) -> u64 {
    let text = format!("{} {value:?} {label:?} {other:?}", deleted.unwrap_or(false));
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

#[derive(Debug)]
struct TextHash;

impl TieHash for TextHash {
    fn hash(&self, rows: &RecordBatch) -> Result<Vec<u64>> {
        let column = |name: &str| rows.column_by_name(name).expect("a column");
        let (deleted, value) = (
            column("_deleted").as_boolean(),
            column("value").as_primitive::<Int64Type>(),
        );
        let (label, other) = (
            column("label").as_string::<i32>(),
            column("other").as_primitive::<Int64Type>(),
        );
        Ok((0..rows.num_rows())
            .map(|row| {
                hash_of(
                    deleted.is_valid(row).then(|| deleted.value(row)),
                    value.is_valid(row).then(|| value.value(row)),
                    label.is_valid(row).then(|| label.value(row)),
                    other.is_valid(row).then(|| other.value(row)),
                )
            })
            .collect())
    }
}

/// DESIGN.md §3 word by word, for every spine row and all of the history.
fn oracle(spine: &[SpineRow], history: &[HistoryRow], setup: &Setup) -> Vec<Answer> {
    let nothing = Answer {
        value: None,
        label: None,
        event_time: None,
        found: Found::Nothing as i8,
    };
    spine
        .iter()
        .map(|asked| {
            let (Some(key), Some(time)) = (asked.key, asked.time) else {
                return nothing.clone();
            };
            if setup.composite && asked.part.is_none() {
                return nothing.clone();
            }
            let known_at = match setup.known_at {
                KnownAt::Always => i64::MAX,
                KnownAt::At(micros) => micros,
                KnownAt::Column(_) => match asked.known_at {
                    Some(micros) => micros,
                    None => return nothing.clone(),
                },
            };
            let winner = history
                .iter()
                .filter_map(|row| {
                    let (event, ingest) = (row.event_time?, row.ingest_time?);
                    let sequence = row.sequence.unwrap_or(ingest);
                    let same_key = row.key == Some(key) && (!setup.composite || row.part == asked.part);
                    let admissible = event <= ingest && ingest >= 0 && sequence >= 0;
                    (same_key && admissible && event <= time && ingest <= known_at).then(|| {
                        (
                            event,
                            sequence,
                            hash_of(row.deleted, row.value, row.label, row.other),
                            row,
                        )
                    })
                })
                .max_by_key(|(event, sequence, hash, _)| (*event, *sequence, *hash));
            match winner {
                None => nothing.clone(),
                Some((_, _, _, row)) if row.deleted == Some(true) => nothing.clone(),
                Some((event, ..)) if setup.max_age.is_some_and(|age| time - event > age) => Answer {
                    event_time: Some(event),
                    found: Found::TooOld as i8,
                    ..nothing.clone()
                },
                Some((event, _, _, row)) => Answer {
                    value: row.value,
                    label: row.label.map(str::to_owned),
                    event_time: Some(event),
                    found: Found::Row as i8,
                },
            }
        })
        .collect()
}

fn utc() -> DataType {
    DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()))
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn spine_batch(rows: &[SpineRow], first: usize) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "id",
            Arc::new(Int64Array::from_iter_values(
                (first..first + rows.len()).map(|id| id as i64),
            )),
        ),
        ("key", Arc::new(rows.iter().map(|row| row.key).collect::<Int64Array>())),
        (
            "part",
            Arc::new(rows.iter().map(|row| row.part).collect::<StringArray>()),
        ),
        ("time", times(rows.iter().map(|row| row.time))),
        ("known_at", times(rows.iter().map(|row| row.known_at))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .expect("a batch")
}

fn history_batch(rows: &[HistoryRow]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("key", Arc::new(rows.iter().map(|row| row.key).collect::<Int64Array>())),
        (
            "part",
            Arc::new(rows.iter().map(|row| row.part).collect::<StringArray>()),
        ),
        ("event_time", times(rows.iter().map(|row| row.event_time))),
        ("ingest_time", times(rows.iter().map(|row| row.ingest_time))),
        (
            "_sequence",
            Arc::new(rows.iter().map(|row| row.sequence).collect::<Int64Array>()),
        ),
        (
            "value",
            Arc::new(rows.iter().map(|row| row.value).collect::<Int64Array>()),
        ),
        (
            "label",
            Arc::new(rows.iter().map(|row| row.label).collect::<StringArray>()),
        ),
        (
            "_deleted",
            Arc::new(rows.iter().map(|row| row.deleted).collect::<BooleanArray>()),
        ),
        (
            "other",
            Arc::new(rows.iter().map(|row| row.other).collect::<Int64Array>()),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .expect("a batch")
}

fn scan(partitions: &[Vec<RecordBatch>], schema: SchemaRef, projection: Option<Vec<usize>>) -> Arc<dyn ExecutionPlan> {
    MemorySourceConfig::try_new_exec(partitions, schema, projection).expect("a scan")
}

/// The same rows in one Parquet file per partition, with small row groups and pages.
async fn file_scan(
    folder: &Path,
    partitions: &[Vec<RecordBatch>],
    schema: &SchemaRef,
    projection: Option<Vec<usize>>,
) -> Arc<dyn ExecutionPlan> {
    for (number, batches) in partitions.iter().enumerate() {
        let file = File::create(folder.join(format!("{number}.parquet"))).expect("a file");
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(20))
            .set_data_page_row_count_limit(5)
            .set_write_batch_size(5)
            .build();
        let mut writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties)).expect("a writer");
        for batch in batches {
            writer.write(batch).expect("written");
        }
        writer.close().expect("a file");
    }
    let context = SessionContext::new_with_config(config());
    let frame = context
        .read_parquet(folder.to_str().expect("a path"), ParquetReadOptions::default())
        .await
        .expect("a table");
    let columns = projection.unwrap_or_else(|| (0..schema.fields().len()).collect());
    let names: Vec<&str> = columns
        .iter()
        .map(|&column| schema.field(column).name().as_str())
        .collect();
    let frame = frame.select_columns(&names).expect("columns");
    frame.create_physical_plan().await.expect("a scan")
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_batch_size(64).with_target_partitions(2);
    config.options_mut().execution.parquet.pushdown_filters = true;
    config.options_mut().execution.parquet.schema_force_view_types = false;
    config
}

struct Ran {
    answers: Vec<Answer>,
    spilled: usize,
    /// History rows that reached the join.
    history_rows: usize,
}

async fn run(spine: &[SpineRow], history: &[HistoryRow], setup: &Setup) -> Ran {
    let spine_batches: Vec<_> = spine
        .chunks(setup.spine_batch)
        .enumerate()
        .map(|(number, rows)| spine_batch(rows, number * setup.spine_batch))
        .collect();
    let mut partitions = vec![Vec::new(); setup.partitions];
    for (number, rows) in history.chunks(setup.history_batch).enumerate() {
        partitions[number % setup.partitions].push(history_batch(rows));
    }
    let whole = history_batch(&[]).schema();
    let projection = setup.tie_breaker.then(|| (0..whole.fields().len() - 1).collect());
    let keys = if setup.composite { 2 } else { 1 };
    let folder = tempfile::tempdir().expect("a folder");
    let scanned = match setup.files {
        true => file_scan(folder.path(), &partitions, &whole, projection).await,
        false => scan(&partitions, Arc::clone(&whole), projection),
    };
    let mut join = AsOfJoinExec::try_new(
        scan(&[spine_batches], spine_batch(&[], 0).schema(), None),
        scanned,
        SpineRoles {
            keys: (1..=keys).collect(),
            time: 3,
            known_at: setup.known_at,
        },
        HistoryRoles {
            keys: (0..keys).collect(),
            event_time: 2,
            ingest_time: Some(3),
            sequence: Some(4),
            deleted: Some(7),
            features: vec![(5, "g.value".to_owned()), (6, "g.label".to_owned())],
        },
        setup.max_age,
        Told {
            event_time: Some("g__event_time".to_owned()),
            found: Some("g__found".to_owned()),
        },
        Arc::new(TextHash),
    )
    .expect("a plan");
    if setup.tie_breaker {
        join = join.with_tie_breaker(scan(&partitions, whole, None)).expect("a plan");
    }
    let mut runtime = RuntimeEnvBuilder::new();
    if let Some(bytes) = setup.memory {
        runtime = runtime.with_memory_pool(Arc::new(GreedyMemoryPool::new(bytes)));
    }
    let context = TaskContext::default()
        .with_session_config(config())
        .with_runtime(runtime.build_arc().expect("a runtime"));
    let join: Arc<dyn ExecutionPlan> = FilterPushdown::new_post_optimization()
        .optimize(Arc::new(join), config().options())
        .expect("a plan with its filter pushed down");
    let batches = collect(Arc::clone(&join), Arc::new(context)).await.expect("an answer");
    let all = concat_batches(&join.schema(), &batches).expect("one batch");
    let ids = all.column(0).as_primitive::<Int64Type>();
    assert!(
        ids.values().iter().copied().eq(0..spine.len() as i64),
        "rows out == rows in, in order"
    );
    let value = all
        .column_by_name("g.value")
        .expect("a column")
        .as_primitive::<Int64Type>();
    let label = all.column_by_name("g.label").expect("a column").as_string::<i32>();
    let event_time = all
        .column_by_name("g__event_time")
        .expect("a column")
        .as_primitive::<TimestampMicrosecondType>();
    let found: &Int8Array = all
        .column_by_name("g__found")
        .expect("a column")
        .as_primitive::<Int8Type>();
    let answers = (0..all.num_rows())
        .map(|row| Answer {
            value: value.is_valid(row).then(|| value.value(row)),
            label: label.is_valid(row).then(|| label.value(row).to_owned()),
            event_time: event_time.is_valid(row).then(|| event_time.value(row)),
            found: found.value(row),
        })
        .collect();
    let metrics = join.metrics();
    let history_rows = metrics
        .as_ref()
        .and_then(|metrics| metrics.sum_by_name("history_rows"))
        .map_or(0, |value| value.as_usize());
    let spilled = metrics
        .and_then(|metrics| {
            metrics
                .sum(|metric| matches!(metric.value(), MetricValue::SpilledRows(_)))
                .map(|value| value.as_usize())
        })
        .unwrap_or(0);
    Ran {
        answers,
        spilled,
        history_rows,
    }
}

fn sometimes<T: Clone + std::fmt::Debug + 'static>(
    often: u32,
    strategy: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    prop_oneof![often => strategy.prop_map(Some), 1 => Just(None)]
}

fn part() -> impl Strategy<Value = Option<&'static str>> {
    sometimes(9, prop_oneof![Just("a"), Just("b"), Just("")])
}

fn spine_row() -> impl Strategy<Value = SpineRow> {
    (
        sometimes(9, 0..5i64),
        part(),
        sometimes(9, -3..25i64),
        sometimes(9, -1..30i64),
    )
        .prop_map(|(key, part, time, known_at)| SpineRow {
            key,
            part,
            time,
            known_at,
        })
}

fn history_row() -> impl Strategy<Value = HistoryRow> {
    let versions = (
        sometimes(20, -5..20i64),
        sometimes(20, -2..8i64),
        prop_oneof![3 => Just(None), 2 => (0..3i64).prop_map(Some), 1 => Just(Some(-1))],
        prop_oneof![Just(None), Just(Some(false)), Just(Some(true))],
    );
    let values = (
        sometimes(3, 0..3i64),
        sometimes(
            3,
            prop_oneof![Just(""), Just("x"), Just("a longer label than a view holds inline")],
        ),
        sometimes(3, 0..3i64),
    );
    (sometimes(20, 0..5i64), part(), versions, values).prop_map(
        |(key, part, (event_time, late, sequence, deleted), (value, label, other))| HistoryRow {
            key,
            part,
            event_time,
            ingest_time: event_time.zip(late).map(|(event, late)| event.max(0) + late),
            sequence,
            deleted,
            value,
            label,
            other,
        },
    )
}

fn setup() -> impl Strategy<Value = Setup> {
    (
        any::<bool>(),
        prop_oneof![
            2 => Just(KnownAt::Always),
            1 => (0..25i64).prop_map(KnownAt::At),
            2 => Just(KnownAt::Column(4))
        ],
        sometimes(1, 0..20i64),
        1..40usize,
        1..80usize,
        1..4usize,
        prop_oneof![Just(None), Just(Some(9_000)), Just(Some(40_000))],
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(composite, known_at, max_age, spine_batch, history_batch, partitions, memory, tie_breaker, files)| {
                Setup {
                    composite,
                    known_at,
                    max_age,
                    spine_batch,
                    history_batch,
                    partitions,
                    memory,
                    tie_breaker,
                    files,
                }
            },
        )
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime")
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn equals_the_oracle(
        spine in prop::collection::vec(spine_row(), 0..60),
        history in prop::collection::vec(history_row(), 0..150),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        mut setup in setup(),
    ) {
        let mut history = history;
        if !history.is_empty() {
            for index in repeats {
                history.push(history[index.index(history.len())].clone());
            }
        }
        // A limit below what a few rows of one key need is an error, not an answer.
        if let Some(memory) = &mut setup.memory {
            *memory += 400 * (spine.len() + history.len());
        }
        let ran = block_on(run(&spine, &history, &setup));
        prop_assert_eq!(ran.answers, oracle(&spine, &history, &setup));
    }
}

const SETUP: Setup = Setup {
    composite: false,
    known_at: KnownAt::Always,
    max_age: None,
    spine_batch: 8,
    history_batch: 8,
    partitions: 2,
    memory: None,
    tie_breaker: false,
    files: false,
};

fn at(key: i64, time: i64) -> SpineRow {
    SpineRow {
        key: Some(key),
        part: None,
        time: Some(time),
        known_at: None,
    }
}

fn row(key: i64, event_time: i64, value: i64) -> HistoryRow {
    HistoryRow {
        key: Some(key),
        part: None,
        event_time: Some(event_time),
        ingest_time: Some(event_time),
        sequence: None,
        deleted: None,
        value: Some(value),
        label: None,
        other: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_of_the_age_are_inclusive() {
    let setup = Setup {
        max_age: Some(10),
        ..SETUP
    };
    let spine = [at(1, 4), at(1, 5), at(1, 15), at(1, 16)];
    let ran = run(&spine, &[row(1, 5, 7)], &setup).await;
    let found: Vec<_> = ran.answers.iter().map(|answer| (answer.found, answer.value)).collect();
    assert_eq!(
        found,
        [
            (Found::Nothing as i8, None),
            (Found::Row as i8, Some(7)),
            (Found::Row as i8, Some(7)),
            (Found::TooOld as i8, None)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scan_drops_rows_that_cannot_win() {
    let spine = [at(7, 50), at(9, 20)];
    let history: Vec<_> = (0..2_000).map(|n| row(n % 100, n / 20, n)).collect();
    let setup = Setup { files: true, ..SETUP };
    let ran = run(&spine, &history, &setup).await;
    assert_eq!(ran.answers, oracle(&spine, &history, &setup));
    assert!(ran.history_rows <= 20, "{} rows reached the join", ran.history_rows);
}

/// A history in the order of time supersedes every row again and again.
#[tokio::test(flavor = "multi_thread")]
async fn many_rows_under_a_small_limit_spill_and_stay_right() {
    let spine: Vec<_> = (0..5_000).map(|n| at(n * 7 % 1_000, n * 13 % 997)).collect();
    let history: Vec<_> = (0..40_000).map(|n| row(n * 31 % 1_000, n / 40, n)).collect();
    let setup = Setup {
        spine_batch: 1_000,
        history_batch: 1_000,
        partitions: 3,
        ..SETUP
    };
    let unlimited = run(&spine, &history, &setup).await;
    assert_eq!(unlimited.spilled, 0);
    for memory in [150_000, 600_000] {
        let limited = run(
            &spine,
            &history,
            &Setup {
                memory: Some(memory),
                ..setup.clone()
            },
        )
        .await;
        assert!(limited.spilled > 0, "with {memory} bytes the join spills");
        assert_eq!(limited.answers, unlimited.answers);
    }
    // The oracle is quadratic: a sample is enough here.
    let sample: Vec<_> = spine.iter().step_by(211).cloned().collect();
    let expected = oracle(&sample, &history, &setup);
    let got: Vec<_> = unlimited.answers.iter().step_by(211).cloned().collect();
    assert_eq!(got, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_another_type_are_refused() {
    let spine = scan(&[vec![spine_batch(&[], 0)]], spine_batch(&[], 0).schema(), None);
    let history = history_batch(&[]);
    let history = scan(&[vec![history.clone()]], history.schema(), None);
    let error = AsOfJoinExec::try_new(
        spine,
        history,
        SpineRoles {
            keys: vec![2],
            time: 3,
            known_at: KnownAt::Always,
        },
        HistoryRoles {
            keys: vec![0],
            event_time: 2,
            ingest_time: Some(3),
            sequence: None,
            deleted: None,
            features: Vec::new(),
        },
        None,
        Told::default(),
        Arc::new(TextHash),
    )
    .expect_err("a string is not a number");
    assert!(error.to_string().contains("cast the spine's"), "{error}");
    let schema = Schema::new(vec![Field::new("t", utc(), true)]);
    assert_eq!(schema.fields().len(), 1);
}
