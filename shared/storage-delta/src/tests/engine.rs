//! The engine reads sources, groups and spines where they lie, with the credentials of the settings.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::Float64Type,
};
use forebay_model::Timestamp;
use forebay_query::{
    AskedGroup, BatchQuery, BatchTable, Engine, EngineConfig, GroupHistory, HistoricalQuery, KnownTo, OfflineTables,
    QueryError, Spine, asof::Told,
};
use forebay_sql::BatchSql;
use forebay_storage::{OfflineStore, SourceError, SourceTables};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;

use crate::tests::{
    Lake, everywhere,
    lake::{batch, made, moving},
};

everywhere! {
    batch_queries_read_sources_and_groups,
    spines_are_read_by_their_uri,
    places_outside_are_refused,
}

fn engine(lake: &Lake) -> (Engine, tempfile::TempDir) {
    let spill = tempfile::tempdir().expect("a folder");
    let engine = Engine::new(EngineConfig::new(spill.path()), Arc::new(lake.store.clone())).expect("an engine");
    (engine, spill)
}

pub(crate) async fn batch_queries_read_sources_and_groups(lake: Lake) {
    let schema = made(&lake.store).await;
    lake.store.append(&schema, moving(0, 10)).await.expect("appended");
    lake.store.append(&schema, moving(10, 20)).await.expect("appended");
    let (engine, _spill) = engine(&lake);
    let full = lake.store.locations().of_group(&schema).url().to_string();
    for uri in ["shop/prices", &full] {
        let sql = "SELECT l.id, p.price FROM listings l JOIN shop.prices p ON p.id = l.id WHERE l.id >= 5 AND l.event_time < {{ end }}";
        let sql = BatchSql::parse(sql).expect("a query");
        let tables: BTreeMap<_, _> = sql
            .tables()
            .iter()
            .map(|name| {
                let table = match name.to_string().as_str() {
                    "listings" => BatchTable::Source {
                        uri: uri.to_owned(),
                        version: None,
                    },
                    _ => BatchTable::Group {
                        schema: schema.clone(),
                        version: None,
                    },
                };
                (name.clone(), table)
            })
            .collect();
        let query = BatchQuery {
            sql,
            start: Timestamp::from_micros(0),
            end: Timestamp::from_micros(15_000_000),
            tables,
        };
        let running = engine.run_batch(&query).await.expect("a run");
        let batches: Vec<RecordBatch> = running.rows.try_collect().await.expect("rows");
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 10, "{uri}");
        assert_eq!(running.versions[uri], 2);
    }
    let changes = SourceTables::changes(&lake.store, &full, Some("event_time"), Some(1), 10).await;
    assert!(matches!(changes, Ok(forebay_storage::Changes::Listed(listed)) if listed.len() == 1));
}

pub(crate) async fn spines_are_read_by_their_uri(lake: Lake) {
    let schema = made(&lake.store).await;
    lake.store.append(&schema, moving(0, 10)).await.expect("appended");
    let csv = "id,event_time,label\n3,1970-01-01T00:00:30Z,a\n7,1970-01-01T00:00:07Z,b\n7,1970-01-01T00:00:08Z,c\n";
    lake.put("labels/spine one.csv", csv).await;
    let mut parquet = Vec::new();
    let rows = batch([3, 7, 7].into_iter());
    let rows = rows.project(&[3, 1]).expect("keys and times");
    let mut writer = ArrowWriter::try_new(&mut parquet, rows.schema(), None).expect("a writer");
    writer.write(&rows).expect("written");
    writer.close().expect("closed");
    lake.put_elsewhere("spine.parquet", parquet).await;

    let (engine, _spill) = engine(&lake);
    let elsewhere = format!("{}/spine.parquet", lake.elsewhere);
    for (uri, expected) in [
        ("labels/spine one.csv", vec![Some(1.5), None, Some(3.5)]),
        (&elsewhere, vec![Some(1.5), Some(3.5), Some(3.5)]),
        ("shop/prices", (0..10).map(|id| Some(f64::from(id) / 2.0)).collect()),
    ] {
        let table = engine
            .spine_table(uri, &[])
            .await
            .unwrap_or_else(|failure| panic!("{uri}: {failure}"));
        let asked = AskedGroup {
            history: GroupHistory {
                schema: schema.clone(),
                table: OfflineTables::group(&lake.store, &schema, None).await.expect("opened"),
            },
            keys: vec!["id".to_owned()],
            features: vec![("price".to_owned(), "asked".to_owned())],
            max_age: None,
            told: Told::default(),
        };
        let query = HistoricalQuery {
            spine: Spine::Table {
                table,
                time: "event_time".to_owned(),
            },
            groups: vec![asked],
            known_at: KnownTo::Always,
        };
        let answer = engine.run_historical(&query).await.expect("started");
        let columns = answer.schema();
        let batches: Vec<RecordBatch> = answer.try_collect().await.expect("rows");
        let all = concat_batches(&columns, &batches).expect("a batch");
        let prices: &ArrayRef = all.column_by_name("asked").expect("a feature");
        let prices: Vec<_> = prices.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(prices, expected, "{uri}");
    }
}

pub(crate) async fn places_outside_are_refused(lake: Lake) {
    let (engine, _spill) = engine(&lake);
    let root = lake.store.locations().root();
    let above = root.url().as_str().rsplit_once('/').expect("a folder").0.to_owned();
    for uri in [
        "../secret.csv".to_owned(),
        format!("{above}/secret.csv"),
        format!("{root}/../secret.csv"),
        format!("{root}x/secret.csv"),
        format!("{root}/_forebay/spines/secret.csv"),
        "s3://elsewhere/secret.csv".to_owned(),
        "file:///etc/passwd.csv".to_owned(),
    ] {
        let refused = engine.spine_table(&uri, &[]).await;
        assert!(
            matches!(refused, Err(QueryError::Table(SourceError::NotAllowed { .. }))),
            "{uri}: {refused:?}"
        );
    }
    let missing = engine.spine_table("labels/none.csv", &[]).await;
    assert!(
        matches!(missing, Err(QueryError::Table(SourceError::NotFound { .. }))),
        "{missing:?}"
    );
    let no_table = engine.spine_table("labels/none", &[]).await;
    assert!(
        matches!(no_table, Err(QueryError::Table(SourceError::NotFound { .. }))),
        "{no_table:?}"
    );
}
