//! What every offline store must do.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{
    Array, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, cast::AsArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use forebay_model::{GroupSchema, Timestamp};
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use serde_json::json;

use super::schemas;
use crate::{
    Advance, Append, AppendError, ChangeKind, Changes, CommitIdentity, CommitNotes, Compacted, Compaction,
    OfflineStore, Retention, RowsIn, RowsOut, StorageError, TableChange,
};

/// Runs the whole suite; `fresh` makes an empty store each time.
pub async fn offline_store(fresh: impl AsyncFn() -> Arc<dyn OfflineStore>) {
    a_table_must_be_made_first(fresh().await).await;
    rows_come_back_as_they_went_in(fresh().await).await;
    positions_move_with_their_rows_once(fresh().await).await;
    a_run_is_committed_once(fresh().await).await;
    rows_that_cannot_be_made_leave_nothing(fresh().await).await;
    racing_writers_lose_and_double_nothing(fresh().await).await;
    features_are_added(fresh().await).await;
    versions_are_told_apart(fresh().await).await;
    a_table_that_is_behind_is_told(fresh().await).await;
    columns_that_are_not_known_are_told(fresh().await).await;
    the_rows_of_a_version_can_be_read(fresh().await).await;
    compaction_keeps_every_row(fresh().await).await;
    two_compactions_at_once_double_nothing(fresh().await).await;
    compaction_goes_on_beside_appends(fresh().await).await;
    tidying_keeps_what_is_needed(fresh().await).await;
    notes_are_kept(fresh().await).await;
    purging_removes_all(fresh().await).await;
}

/// What a test row says: key, event time, ingest time, price.
type Row = (i64, i64, i64, Option<f64>);

fn batch(rows: &[Row]) -> RecordBatch {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("event_time", time(), true),
        Field::new("ingest_time", time(), true),
        Field::new("_sequence", DataType::Int64, true),
        Field::new("price", DataType::Float64, true),
        Field::new("city", DataType::Utf8, true),
        Field::new("_deleted", DataType::Boolean, true),
    ]);
    let times = |values: Vec<i64>| TimestampMicrosecondArray::from(values).with_timezone("UTC");
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
            Arc::new(times(rows.iter().map(|row| row.1).collect())),
            Arc::new(times(rows.iter().map(|row| row.2).collect())),
            Arc::new(rows.iter().map(|row| row.2 + 1).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>()),
            Arc::new(
                rows.iter()
                    .map(|row| row.3.map(|price| format!("city {price}")))
                    .collect::<StringArray>(),
            ),
            Arc::new(rows.iter().map(|row| Some(row.0 < 0)).collect::<BooleanArray>()),
        ],
    )
    .expect("a batch")
}

fn rows_in(rows: &[Row]) -> RowsIn {
    let batches: Vec<_> = rows.chunks(3).map(|rows| Ok(batch(rows))).collect();
    stream::iter(batches).boxed()
}

async fn collect(rows: RowsOut) -> Vec<Row> {
    let batches: Vec<RecordBatch> = rows.try_collect().await.expect("rows");
    let mut all = Vec::new();
    for batch in &batches {
        let times = |name: &str| {
            batch
                .column_by_name(name)
                .expect("a time")
                .as_primitive::<arrow_array::types::TimestampMicrosecondType>()
                .clone()
        };
        let ids = batch
            .column_by_name("id")
            .expect("a key")
            .as_primitive::<arrow_array::types::Int64Type>();
        let prices = batch
            .column_by_name("price")
            .expect("a feature")
            .as_primitive::<arrow_array::types::Float64Type>();
        let (event, ingest) = (times("event_time"), times("ingest_time"));
        all.extend((0..batch.num_rows()).map(|row| {
            let price = prices.is_valid(row).then(|| prices.value(row));
            (ids.value(row), event.value(row), ingest.value(row), price)
        }));
    }
    all.sort_by(|one, other| one.partial_cmp(other).expect("comparable"));
    all
}

async fn all_rows(store: &dyn OfflineStore, schema: &Arc<GroupSchema>) -> Vec<Row> {
    collect(store.rows(schema, None).await.expect("rows").1).await
}

fn moving(rows: &[Row], from: u64, to: u64) -> Append {
    Append {
        identity: CommitIdentity::Positions(vec![Advance { partition: 0, from, to }]),
        rows: rows_in(rows),
        notes: BTreeMap::new(),
    }
}

fn running(rows: &[Row], run: &str) -> Append {
    Append {
        identity: CommitIdentity::Run(run.to_owned()),
        rows: rows_in(rows),
        notes: BTreeMap::new(),
    }
}

fn some_rows(from: i64, count: i64) -> Vec<Row> {
    (from..from + count)
        .map(|n| {
            (
                n % 7,
                1_000 * n,
                1_000 * n + 500,
                (n % 5 != 0).then_some(f64::from(i32::try_from(n).expect("small"))),
            )
        })
        .collect()
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|one, other| one.partial_cmp(other).expect("comparable"));
    rows
}

const EAGER: Compaction = Compaction {
    min_files: 2,
    target_bytes: 1 << 20,
    memory_bytes: 64 << 20,
};

async fn made(store: &dyn OfflineStore) -> Arc<GroupSchema> {
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    schema
}

async fn a_table_must_be_made_first(store: Arc<dyn OfflineStore>) {
    let schema = schemas::prices(0);
    assert!(matches!(
        store.version(&schema).await,
        Err(StorageError::NotProvisioned { .. })
    ));
    assert!(matches!(
        store.append(&schema, running(&some_rows(0, 1), "r")).await,
        Err(AppendError::Storage(StorageError::NotProvisioned { .. }))
    ));
    store.ensure(&schema).await.expect("made");
    store.ensure(&schema).await.expect("as often as one likes");
    assert_eq!(store.positions(&schema, 2).await.expect("positions"), [0, 0]);
    assert_eq!(all_rows(&*store, &schema).await, []);
}

async fn rows_come_back_as_they_went_in(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    let rows = [
        (3, -5, 0, None),
        (1, i64::from(i32::MIN), 1, Some(f64::NEG_INFINITY)),
        (-1, 7, 7, Some(0.0)),
        (i64::MAX, 7, 8, Some(1e300)),
        (i64::MIN, 7, 8, Some(f64::MIN_POSITIVE)),
    ];
    let committed = store.append(&schema, moving(&rows, 0, 5)).await.expect("appended");
    assert_eq!((committed.rows, committed.repeated), (5, false));
    let (version, out) = store.rows(&schema, None).await.expect("rows");
    assert_eq!(version, committed.version);
    let batches: Vec<RecordBatch> = out.try_collect().await.expect("rows");
    let names: Vec<_> = batches[0]
        .schema_ref()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(
        names,
        [
            "id",
            "event_time",
            "ingest_time",
            "_sequence",
            "price",
            "city",
            "_deleted"
        ]
    );
    assert_eq!(all_rows(&*store, &schema).await, sorted(rows.to_vec()));
}

async fn positions_move_with_their_rows_once(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    let rows = some_rows(0, 10);
    store.append(&schema, moving(&rows[..4], 0, 4)).await.expect("first");
    let again = store.append(&schema, moving(&rows[..4], 0, 4)).await.expect("again");
    assert!(again.repeated, "the same advance is the same commit");
    let overlapping = store.append(&schema, moving(&rows[2..6], 2, 6)).await;
    assert!(
        matches!(
            overlapping,
            Err(AppendError::Moved {
                partition: 0,
                expected: 2,
                found: 4
            })
        ),
        "{overlapping:?}"
    );
    store
        .append(&schema, moving(&rows[4..], 4, 10))
        .await
        .expect("on from there");
    assert_eq!(store.positions(&schema, 1).await.expect("positions"), [10]);
    assert_eq!(all_rows(&*store, &schema).await, sorted(rows));

    let both = |from: u64, to: u64| Append {
        identity: CommitIdentity::Positions(vec![
            Advance { partition: 0, from, to },
            Advance {
                partition: 1,
                from: 0,
                to: 3,
            },
        ]),
        rows: stream::empty().boxed(),
        notes: BTreeMap::new(),
    };
    store
        .append(&schema, both(10, 12))
        .await
        .expect("no rows, yet positions move");
    assert_eq!(store.positions(&schema, 3).await.expect("positions"), [12, 3, 0]);
}

async fn a_run_is_committed_once(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    let rows = some_rows(0, 5);
    assert!(!store.committed_run(&schema, "run 1").await.expect("asked"));
    let first = store.append(&schema, running(&rows, "run 1")).await.expect("first");
    let again = store.append(&schema, running(&rows, "run 1")).await.expect("again");
    assert_eq!((first.repeated, again.repeated, again.rows), (false, true, 0));
    assert!(store.committed_run(&schema, "run 1").await.expect("asked"));
    assert!(!store.committed_run(&schema, "run 2").await.expect("asked"));
    assert_eq!(all_rows(&*store, &schema).await, sorted(rows));
}

async fn rows_that_cannot_be_made_leave_nothing(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    let before = store.version(&schema).await.expect("a version");
    let failing = |rows: Vec<Result<RecordBatch, crate::RowsError>>| Append {
        identity: CommitIdentity::Run("failing".into()),
        rows: stream::iter(rows).boxed(),
        notes: BTreeMap::new(),
    };
    let error = store
        .append(
            &schema,
            failing(vec![Ok(batch(&some_rows(0, 3))), Err("no more".into())]),
        )
        .await;
    assert!(matches!(error, Err(AppendError::Rows(_))), "{error:?}");
    let stranger =
        RecordBatch::try_from_iter([("stranger", Arc::new(Int64Array::from(vec![1])) as _)]).expect("a batch");
    let error = store.append(&schema, failing(vec![Ok(stranger)])).await;
    assert!(matches!(error, Err(AppendError::Rows(_))), "{error:?}");
    assert_eq!(store.version(&schema).await.expect("a version"), before);
    assert_eq!(all_rows(&*store, &schema).await, []);
}

async fn racing_writers_lose_and_double_nothing(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    let rows = some_rows(0, 40);
    let writers = rows.chunks(5).enumerate().map(|(run, rows)| {
        let (store, schema) = (store.clone(), schema.clone());
        let append = running(rows, &format!("run {run}"));
        async move { store.append(&schema, append).await.map(|_| ()) }
    });
    let sinks = (0..4).map(|_| {
        let (store, schema) = (store.clone(), schema.clone());
        let append = moving(&some_rows(100, 5), 0, 5);
        async move { store.append(&schema, append).await.map(|_| ()) }
    });
    for outcome in join_all(writers).await.into_iter().chain(join_all(sinks).await) {
        outcome.expect("every writer gets through");
    }
    let expected = sorted(rows.into_iter().chain(some_rows(100, 5)).collect());
    assert_eq!(all_rows(&*store, &schema).await, expected);
}

async fn features_are_added(store: Arc<dyn OfflineStore>) {
    let old = made(&*store).await;
    store
        .append(&old, moving(&some_rows(0, 3), 0, 3))
        .await
        .expect("appended");
    let before = store.version(&old).await.expect("a version");
    let new = schemas::prices(1);
    for outcome in join_all((0..4).map(|_| store.ensure(&new))).await {
        outcome.expect("added, by whoever came first");
    }
    store
        .append(&old, moving(&some_rows(3, 3), 3, 6))
        .await
        .expect("an older writer goes on");
    store.ensure(&old).await.expect("never back");
    assert_eq!(all_rows(&*store, &new).await, sorted(some_rows(0, 6)));
    let (_, out) = store.rows(&new, None).await.expect("rows");
    let batches: Vec<RecordBatch> = out.try_collect().await.expect("rows");
    for batch in batches {
        let taste = batch.column_by_name("taste").expect("the added feature");
        assert_eq!(taste.null_count(), batch.num_rows(), "rows of before have none");
        assert!(matches!(taste.data_type(), DataType::FixedSizeList(_, 2)));
    }
    let (version, out) = store.rows(&old, Some(before)).await.expect("an older version");
    assert_eq!((version, collect(out).await), (before, sorted(some_rows(0, 3))));
}

async fn changes(store: &dyn OfflineStore, schema: &Arc<GroupSchema>, since: u64) -> Vec<TableChange> {
    match store.changes(schema, Some(since), 100).await.expect("changes") {
        Changes::Listed(changes) => changes,
        gone @ Changes::Gone { .. } => panic!("{gone:?}"),
    }
}

async fn versions_are_told_apart(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    let start = store.version(&schema).await.expect("a version");
    let rows = [(1, -2_000_001, 5, None), (2, 3_000_007, 3_000_007, None)];
    let one = store
        .append(&schema, running(&rows, "a"))
        .await
        .expect("appended")
        .version;
    let two = store
        .append(&schema, running(&some_rows(0, 3), "b"))
        .await
        .expect("appended")
        .version;
    store
        .append(&schema, running(&[], "none"))
        .await
        .expect("a run without rows");
    let merged = store.compact(&schema, &EAGER).await.expect("compacted");
    let Compacted::Merged { version, .. } = merged else {
        panic!("{merged:?}")
    };
    store.ensure(&schemas::prices(1)).await.expect("widened");
    let listed = changes(&*store, &schema, start).await;
    let kinds: Vec<_> = listed.iter().map(|change| (change.version, change.kind)).collect();
    assert_eq!(
        kinds,
        [
            (one, ChangeKind::AddsRows),
            (two, ChangeKind::AddsRows),
            (two + 1, ChangeKind::Metadata),
            (version, ChangeKind::RewritesFiles),
            (version + 1, ChangeKind::Metadata),
        ]
    );
    assert_eq!(listed[0].rows_added, Some(2));
    let (least, greatest) = listed[0].event_times.expect("a range");
    assert!(least <= Timestamp::from_micros(-2_000_001) && least > Timestamp::from_micros(-2_001_001));
    assert!(greatest >= Timestamp::from_micros(3_000_007) && greatest < Timestamp::from_micros(3_001_007));
    assert_eq!(changes(&*store, &schema, version + 1).await, []);
    let Changes::Listed(first) = store.changes(&schema, None, 1).await.expect("changes") else {
        panic!("the log is whole")
    };
    assert_eq!(first.len(), 1, "no more than the limit");
}

async fn a_table_that_is_behind_is_told(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    for run in ["a", "b", "c"] {
        store
            .append(&schema, running(&some_rows(0, 2), run))
            .await
            .expect("appended");
    }
    let before = store.version(&schema).await.expect("a version");
    assert_eq!(changes(&*store, &schema, before).await, [], "it is where it was");
    store.purge(&schema).await.expect("purged");
    store.ensure(&schema).await.expect("made anew");
    let newest = store
        .append(&schema, running(&some_rows(0, 2), "d"))
        .await
        .expect("appended")
        .version;
    assert!(newest < before);
    for since in [newest + 1, before, before + 1] {
        let found = store.changes(&schema, Some(since), 10).await.expect("changes");
        assert_eq!(found, Changes::Gone { newest }, "since {since}");
    }
}

async fn columns_that_are_not_known_are_told(store: Arc<dyn OfflineStore>) {
    let old = made(&*store).await;
    let unknown = async |schema| store.unknown_columns(schema).await.expect("columns");
    assert_eq!(
        unknown(&old).await,
        [""; 0],
        "keys, times and our own columns are known"
    );
    let new = schemas::prices(1);
    store.ensure(&new).await.expect("widened");
    assert_eq!(unknown(&old).await, ["taste"]);
    assert_eq!(unknown(&new).await, [""; 0]);
}

async fn the_rows_of_a_version_can_be_read(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    let one = store
        .append(&schema, running(&some_rows(0, 5), "a"))
        .await
        .expect("appended")
        .version;
    let two = store
        .append(&schema, running(&some_rows(5, 5), "b"))
        .await
        .expect("appended")
        .version;
    let read = async |version| {
        let rows = store.added_rows(&schema, version).await.expect("read").expect("there");
        collect(rows).await
    };
    assert_eq!(read(one).await, sorted(some_rows(0, 5)));
    assert_eq!(read(two).await, sorted(some_rows(5, 5)));
    let Compacted::Merged { version, .. } = store.compact(&schema, &EAGER).await.expect("compacted") else {
        panic!("there is something to merge")
    };
    assert_eq!(read(version).await, [], "a compaction adds nothing");
    assert_eq!(read(one).await, sorted(some_rows(0, 5)), "its files stay for a while");
    assert!(store.added_rows(&schema, version + 9).await.expect("asked").is_none());
}

async fn compaction_keeps_every_row(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    assert_eq!(
        store.compact(&schema, &EAGER).await.expect("nothing to do"),
        Compacted::Nothing
    );
    let mut rows = Vec::new();
    for run in 0..6 {
        let some = some_rows(run * 10, 10);
        store
            .append(&schema, moving(&some, rows.len() as u64, rows.len() as u64 + 10))
            .await
            .expect("appended");
        rows.extend(some);
    }
    // The same row twice stays twice: readers know that it is one.
    store
        .append(&schema, running(&rows[..5], "repeated"))
        .await
        .expect("appended");
    rows.extend_from_within(..5);
    let patient = Compaction { min_files: 8, ..EAGER };
    assert_eq!(
        store.compact(&schema, &patient).await.expect("too few"),
        Compacted::Nothing
    );
    let merged = store.compact(&schema, &EAGER).await.expect("compacted");
    assert!(
        matches!(
            merged,
            Compacted::Merged {
                files_before: 7,
                files_after: 1,
                ..
            }
        ),
        "{merged:?}"
    );
    assert_eq!(all_rows(&*store, &schema).await, sorted(rows));
    assert_eq!(store.positions(&schema, 1).await.expect("positions"), [60]);
    assert_eq!(
        store.compact(&schema, &EAGER).await.expect("nothing to do"),
        Compacted::Nothing
    );
}

async fn two_compactions_at_once_double_nothing(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    let mut rows = Vec::new();
    for run in 0..4 {
        let some = some_rows(run * 50, 50);
        store
            .append(&schema, running(&some, &format!("run {run}")))
            .await
            .expect("appended");
        rows.extend(some);
    }
    let outcomes = join_all((0..4).map(|_| {
        let (store, schema) = (store.clone(), schema.clone());
        async move { store.compact(&schema, &EAGER).await.expect("compacted, or overtaken") }
    }))
    .await;
    let merged = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Compacted::Merged { .. }))
        .count();
    assert_eq!(merged, 1, "{outcomes:?}");
    assert_eq!(all_rows(&*store, &schema).await, sorted(rows));
}

async fn compaction_goes_on_beside_appends(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    let rows = some_rows(0, 200);
    let (before, during) = rows.split_at(100);
    for (run, rows) in before.chunks(10).enumerate() {
        let append = running(rows, &format!("before {run}"));
        store.append(&schema, append).await.expect("appended");
    }
    let appends = async {
        for (run, rows) in during.chunks(2).enumerate() {
            let append = running(rows, &format!("during {run}"));
            store.append(&schema, append).await.expect("appended");
        }
    };
    let (merged, ()) = tokio::join!(store.compact(&schema, &EAGER), appends);
    let merged = merged.expect("compacted");
    assert!(matches!(merged, Compacted::Merged { .. }), "{merged:?}");
    assert_eq!(all_rows(&*store, &schema).await, sorted(rows));
}

async fn tidying_keeps_what_is_needed(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    let mut rows = Vec::new();
    for run in 0..5 {
        let some = some_rows(run * 10, 10);
        store
            .append(&schema, moving(&some, rows.len() as u64, rows.len() as u64 + 10))
            .await
            .expect("appended");
        rows.extend(some);
    }
    let first = store.changes(&schema, None, 2).await.expect("changes");
    let Changes::Listed(first) = first else {
        panic!("{first:?}")
    };
    store.compact(&schema, &EAGER).await.expect("compacted");
    let retention = Retention {
        checkpoint_every: 3,
        log: std::time::Duration::ZERO,
        files: std::time::Duration::ZERO,
        oldest_pin: None,
    };
    let tidied = store.tidy(&schema, &retention).await.expect("tidied");
    assert!(tidied.checkpoint.is_some() && tidied.files_removed >= 5, "{tidied:?}");
    store.tidy(&schema, &retention).await.expect("as often as one likes");
    assert_eq!(all_rows(&*store, &schema).await, sorted(rows.clone()));
    assert_eq!(
        store.positions(&schema, 1).await.expect("positions"),
        [50],
        "identities outlive the log"
    );
    let gone = store.added_rows(&schema, first[1].version).await.expect("asked");
    assert!(gone.is_none(), "its file is gone");
    if tidied.log_entries_removed > 0 {
        let changes = store.changes(&schema, Some(0), 10).await.expect("changes");
        assert!(matches!(changes, Changes::Gone { .. }), "{changes:?}");
    }
    let again = store.append(&schema, moving(&rows[..10], 40, 50)).await.expect("again");
    assert!(again.repeated);
}

async fn notes_are_kept(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    for (from, to) in [(0, 4), (4, 9)] {
        let append = Append {
            notes: BTreeMap::from([("batches".to_owned(), json!({ "up to": to }))]),
            ..moving(&some_rows(0, 1), from, to)
        };
        store.append(&schema, append).await.expect("appended");
    }
    let notes = async |since| {
        let notes = store.notes(&schema, since).await.expect("notes");
        notes.try_collect::<Vec<CommitNotes>>().await.expect("notes")
    };
    let all = notes(Timestamp::from_micros(0)).await;
    let told: Vec<_> = all
        .iter()
        .filter_map(|commit| {
            Some((
                commit.positions.get(&0)?,
                commit.notes.get("batches")?["up to"].as_u64()?,
            ))
        })
        .collect();
    assert_eq!(told, [(&9, 9), (&4, 4)], "newest first");
    assert_eq!(notes(Timestamp::MAX).await, []);
}

async fn purging_removes_all(store: Arc<dyn OfflineStore>) {
    let schema = made(&*store).await;
    store
        .append(&schema, moving(&some_rows(0, 3), 0, 3))
        .await
        .expect("appended");
    store.purge(&schema).await.expect("purged");
    store.purge(&schema).await.expect("as often as one likes");
    assert!(matches!(
        store.version(&schema).await,
        Err(StorageError::NotProvisioned { .. })
    ));
    store.ensure(&schema).await.expect("made again");
    assert_eq!(store.positions(&schema, 1).await.expect("positions"), [0]);
    assert_eq!(all_rows(&*store, &schema).await, []);
}
