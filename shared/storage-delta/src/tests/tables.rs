//! What a table looks like to those who read it.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray},
    datatypes::{DataType, Int64Type},
};
use datafusion::prelude::SessionContext;
use forebay_model::{GroupSchema, LayoutNumber, Slot};
use forebay_query::OfflineTables;
use forebay_storage::{
    Append, Changes, CommitIdentity, Compacted, Compaction, OfflineStore, Provision, SourceError, SourceTables,
    conformance,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    DeltaStore,
    table::Table,
    tests::{Lake, everywhere},
};

everywhere! {
    times_and_keys_prune_files,
    rows_are_sorted_within_each_file,
    a_table_is_plain_delta,
    sources_are_read_where_they_are,
    a_table_that_others_remade_is_an_error,
}

/// A table of 4 files, each with the rows of ten keys at one second.
pub(crate) async fn four_files(store: &DeltaStore) -> Arc<GroupSchema> {
    let schema = conformance::schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    for second in 0..4 {
        let ids: Int64Array = (second * 10..second * 10 + 10).rev().collect();
        let times = || {
            let times = TimestampMicrosecondArray::from_value(second * 1_000_000 + 7, 10);
            Arc::new(times.with_timezone("UTC")) as ArrayRef
        };
        let prices: Float64Array = (0..10).map(|price| Some(f64::from(price))).collect();
        let batch = RecordBatch::try_from_iter([
            ("price", Arc::new(prices) as ArrayRef),
            ("id", Arc::new(ids)),
            ("event_time", times()),
            ("ingest_time", times()),
        ])
        .expect("a batch");
        let append = Append {
            identity: CommitIdentity::Run(format!("run {second}")),
            rows: stream::iter([Ok(batch)]).boxed(),
            notes: BTreeMap::new(),
        };
        store.append(&schema, append).await.expect("appended");
    }
    schema
}

/// A context that reads from the store's buckets.
fn context(store: &DeltaStore) -> SessionContext {
    let context = SessionContext::new();
    for (url, bucket) in store.object_stores() {
        context.register_object_store(url.as_ref(), bucket);
    }
    context
}

async fn query(store: &DeltaStore, schema: &Arc<GroupSchema>, sql: &str) -> (usize, String) {
    let context = context(store);
    let table = OfflineTables::group(store, schema, None).await.expect("opened");
    context.register_table("t", table.provider).expect("registered");
    let frame = context.sql(sql).await.expect("planned");
    let plan = frame.clone().create_physical_plan().await.expect("planned");
    let plan = datafusion::physical_plan::displayable(plan.as_ref())
        .indent(true)
        .to_string();
    let rows = frame
        .collect()
        .await
        .expect("run")
        .iter()
        .map(RecordBatch::num_rows)
        .sum();
    (rows, plan)
}

pub(crate) async fn times_and_keys_prune_files(lake: Lake) {
    let store = lake.store.clone();
    let schema = four_files(&store).await;
    for (filter, rows, files) in [
        ("true", 40, 4),
        ("event_time <= to_timestamp_micros(1000007)", 20, 2),
        ("event_time <= to_timestamp_micros(1000006)", 10, 2),
        ("event_time > to_timestamp_micros(3000007)", 0, 1),
        ("event_time >= to_timestamp_micros(2000007) AND id < 25", 5, 1),
        ("id = 12", 1, 1),
        ("id IN (12, 37)", 2, 2),
        ("id = 40", 0, 0),
        ("price > 100", 0, 4),
    ] {
        let (found, plan) = query(&store, &schema, &format!("SELECT * FROM t WHERE {filter}")).await;
        let scanned = plan.matches(".parquet").count();
        assert_eq!((found, scanned), (rows, files), "{filter}: {plan}");
    }
    let (_, plan) = query(&store, &schema, "SELECT max(event_time), count(*) FROM t").await;
    assert!(
        plan.contains(".parquet"),
        "no answer is taken from the statistics of log entries: {plan}"
    );
}

pub(crate) async fn rows_are_sorted_within_each_file(lake: Lake) {
    let store = lake.store.clone();
    let schema = four_files(&store).await;
    let merged = store
        .compact(
            &schema,
            &Compaction {
                min_files: 2,
                target_bytes: 1 << 20,
                memory_bytes: 64 << 20,
            },
        )
        .await
        .expect("compacted");
    assert!(
        matches!(
            merged,
            Compacted::Merged {
                files_before: 4,
                files_after: 1,
                ..
            }
        ),
        "{merged:?}"
    );
    let (_, rows) = store.rows(&schema, None).await.expect("rows");
    let batches: Vec<RecordBatch> = rows.try_collect().await.expect("rows");
    let ids: Vec<i64> = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    assert_eq!(ids, (0..40).collect::<Vec<_>>());
}

pub(crate) async fn a_table_is_plain_delta(lake: Lake) {
    let store = lake.store.clone();
    let schema = four_files(&store).await;
    store.ensure(&conformance::schemas::prices(1)).await.expect("widened");
    let table = Table::new(store.locations().of_group(&schema));
    let table = table.newest().await.expect("loaded").expect("there");
    let snapshot = table.snapshot().expect("a snapshot");
    let protocol = snapshot.protocol();
    assert_eq!((protocol.min_reader_version(), protocol.min_writer_version()), (1, 2));
    let properties = snapshot.metadata().configuration();
    assert_eq!(properties["delta.appendOnly"], "true");
    assert_eq!(
        properties["delta.dataSkippingStatsColumns"],
        "id,event_time,ingest_time"
    );
    assert!(snapshot.metadata().partition_columns().is_empty());
}

pub(crate) async fn sources_are_read_where_they_are(lake: Lake) {
    let store = lake.store.clone();
    let schema = four_files(&store).await;
    let described = store.describe("shop/prices").await.expect("described");
    assert_eq!(described.schema.field(0).name(), "id");
    assert_eq!(
        described.schema.field_with_name("city").expect("there").data_type(),
        &DataType::Utf8
    );
    let changes = SourceTables::changes(
        &store,
        "shop/prices",
        Some("event_time"),
        Some(described.version - 1),
        10,
    )
    .await
    .expect("changes");
    let Changes::Listed(changes) = changes else {
        panic!("{changes:?}")
    };
    assert_eq!((changes.len(), changes[0].rows_added), (1, Some(10)));
    let opened = OfflineTables::source(&store, "shop/prices", Some(2))
        .await
        .expect("an older version");
    let context = context(&store);
    context.register_table("t", opened.provider).expect("registered");
    let filtered = "SELECT * FROM t WHERE event_time > TIMESTAMP '1970-01-01T00:00:01Z' AND id < 15";
    let found = context
        .sql(filtered)
        .await
        .expect("planned")
        .count()
        .await
        .expect("run");
    assert_eq!(found, 5);

    for (uri, code) in [
        ("nothing", "NotFound"),
        ("../outside", "NotAllowed"),
        ("s3://elsewhere/t", "NotAllowed"),
    ] {
        let error = store.describe(uri).await.expect_err("refused");
        assert!(format!("{error:?}").starts_with(code), "{uri}: {error:?}");
    }
    lake.put("empty/no.table", "").await;
    assert!(matches!(
        store.describe("empty").await,
        Err(SourceError::NotFound { .. })
    ));
    assert_eq!(
        store.locate("labels/spine.parquet").expect("allowed"),
        format!("{}/labels/spine.parquet", store.locations().root())
    );
    drop(schema);
}

pub(crate) async fn a_table_that_others_remade_is_an_error(lake: Lake) {
    let store = lake.store.clone();
    let schema = four_files(&store).await;
    let other = GroupSchema {
        slots: Arc::from([Slot {
            name: "price".parse().expect("a name"),
            data_type: forebay_model::DataType::String,
            since: LayoutNumber(0),
            hidden: false,
        }]),
        ..(*schema).clone()
    };
    let error = store.ensure(&Arc::new(other)).await.expect_err("another type");
    assert!(error.to_string().contains("price"), "{error}");
}
