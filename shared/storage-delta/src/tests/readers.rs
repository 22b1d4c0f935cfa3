//! A table is read by other projects, and they see the rows that Forebay sees.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    datatypes::{DataType, Float32Type, Float64Type, Int64Type, TimestampMicrosecondType},
};
use forebay_model::GroupSchema;
use forebay_rows::arrow_types::EVENT_TIME;
use forebay_storage::{
    Advance, Append, CommitIdentity, Compacted, Compaction, OfflineStore, Provision, Retention, conformance::schemas,
};
use forebay_testbed::{Python, S3Address, checkout};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value as Json, json};

use crate::tests::{Lake, everywhere, lake::made};

everywhere! {
    others_read_the_same_rows,
}

pub(crate) async fn others_read_the_same_rows(lake: Lake) {
    let schema = made(&lake.store).await;
    let eager = Compaction {
        min_files: 2,
        target_bytes: 1 << 20,
        memory_bytes: 64 << 20,
    };
    for step in 0..3 {
        lake.store.append(&schema, rows(step, false)).await.expect("appended");
    }
    all_agree(&lake, &schema, "as it was appended").await;

    let merged = lake.store.compact(&schema, &eager).await.expect("compacted");
    assert!(matches!(merged, Compacted::Merged { .. }), "{merged:?}");
    all_agree(&lake, &schema, "compacted").await;

    let wider = schemas::prices(1);
    lake.store.ensure(&wider).await.expect("widened");
    lake.store.append(&wider, rows(3, true)).await.expect("appended");
    all_agree(&lake, &wider, "with an added feature").await;

    lake.store.compact(&wider, &eager).await.expect("compacted");
    let now = Retention {
        checkpoint_every: 1,
        log: Duration::ZERO,
        files: Duration::ZERO,
        oldest_pin: None,
    };
    let tidied = lake.store.tidy(&wider, &now).await.expect("tidied");
    assert!(tidied.checkpoint.is_some() && tidied.files_removed > 0, "{tidied:?}");
    lake.store.append(&wider, rows(4, true)).await.expect("appended");
    all_agree(&lake, &wider, "from a checkpoint").await;
}

/// Ten rows: negative and microsecond times, nulls, infinities, deletes, empty and other strings.
fn rows(step: i64, with_taste: bool) -> Append {
    let ids: Vec<i64> = (step * 10..step * 10 + 10).rev().collect();
    let times = |start: i64| {
        let micros: Vec<i64> = ids.iter().map(|id| start + id * 1_234_567).collect();
        Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC")) as ArrayRef
    };
    let price = |id: &i64| match id % 4 {
        0 => None,
        1 => Some(f64::INFINITY),
        _ => Some(*id as f64 / 3.0),
    };
    let city = |id: &i64| match id % 3 {
        0 => None,
        1 => Some(String::new()),
        _ => Some(format!("São Paulo {id}")),
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(ids.clone()))),
        ("event_time", times(-20_000_001)),
        ("ingest_time", times(1_790_000_000_000_003)),
        (
            "_sequence",
            Arc::new(
                ids.iter()
                    .map(|id| (id % 2 == 0).then_some(*id))
                    .collect::<Int64Array>(),
            ),
        ),
        ("price", Arc::new(ids.iter().map(price).collect::<Float64Array>())),
        ("city", Arc::new(ids.iter().map(city).collect::<StringArray>())),
        (
            "_deleted",
            Arc::new(
                ids.iter()
                    .map(|id| (id % 5 != 0).then_some(id % 7 == 0))
                    .collect::<BooleanArray>(),
            ),
        ),
    ];
    if with_taste {
        let taste = ids
            .iter()
            .map(|id| (id % 2 == 0).then(|| [Some(*id as f32 / 8.0), Some(-1.5)]));
        let taste = arrow::array::FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(taste, 2);
        columns.push(("taste", Arc::new(taste)));
    }
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)));
    Append {
        identity: CommitIdentity::Positions(vec![Advance {
            partition: 0,
            from: step as u64 * 10,
            to: step as u64 * 10 + 10,
        }]),
        rows: stream::iter([Ok(batch.expect("a batch"))]).boxed(),
        notes: BTreeMap::new(),
    }
}

async fn all_agree(lake: &Lake, schema: &Arc<GroupSchema>, when: &str) {
    let ours = ours(lake, schema).await;
    let location = lake.store.locations().of_group(schema);
    let uri = match location.local() {
        Some(folder) => folder.display().to_string(),
        None => location.url().to_string(),
    };
    for reader in ["deltalake", "polars", "duckdb"] {
        let mut arguments = vec![reader.to_owned(), uri.clone()];
        arguments.extend(ours.0.iter().cloned());
        let options = match location.local() {
            Some(_) => Json::Null,
            None => json!({
                "AWS_ENDPOINT_URL": lake.config.s3.endpoint,
                "AWS_ACCESS_KEY_ID": S3Address::ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": S3Address::SECRET_KEY,
                "AWS_REGION": S3Address::REGION,
                "AWS_ALLOW_HTTP": "true",
            }),
        };
        let printed = tokio::task::spawn_blocking(move || {
            let folder = checkout().join("shared/storage-delta/python");
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let python = Python::with(&folder.join("requirements.txt"));
            python.run(&folder.join("read.py"), &arguments, &options.to_string())
        })
        .await
        .expect("run");
        let mut theirs: Vec<String> = printed
            .lines()
            // Python writes infinity as a bare word.
            .map(|line| line.replace("Infinity", "\"Infinity\""))
            .map(|line| serde_json::from_str::<Json>(&line).expect("JSON").to_string())
            .collect();
        theirs.sort();
        assert_eq!(theirs, ours.1, "{reader}, {when}");
    }
}

/// The columns, and every row as JSON text, sorted.
async fn ours(lake: &Lake, schema: &Arc<GroupSchema>) -> (Vec<String>, Vec<String>) {
    let (_, stream) = lake.store.rows(schema, None).await.expect("rows");
    let batches: Vec<RecordBatch> = stream.try_collect().await.expect("rows");
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| cell(column, row));
            rows.push(Json::from_iter(cells).to_string());
        }
    }
    rows.sort();
    let columns = batches[0]
        .schema_ref()
        .fields()
        .iter()
        .map(|field| field.name().clone());
    let columns: Vec<String> = columns.collect();
    assert!(columns.iter().any(|column| column == EVENT_TIME));
    (columns, rows)
}

fn cell(column: &ArrayRef, row: usize) -> Json {
    if column.is_null(row) {
        return Json::Null;
    }
    match column.data_type() {
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Timestamp(..) => json!(column.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Float64 => match column.as_primitive::<Float64Type>().value(row) {
            finite if finite.is_finite() => json!(finite),
            _ => json!("Infinity"),
        },
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::FixedSizeList(..) => {
            let values = column.as_fixed_size_list().value(row);
            Json::from_iter(
                values
                    .as_primitive::<Float32Type>()
                    .values()
                    .iter()
                    .map(|value| f64::from(*value)),
            )
        }
        other => panic!("{other}"),
    }
}
