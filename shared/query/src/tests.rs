//! The engine on tables in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::util::pretty::pretty_format_batches;
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use forebay_model::{
    DataType, Duration, Generation, GroupId, GroupSchema, KeyColumn, KeyType, LayoutNumber, Name, Slot, Timestamp,
};
use forebay_sql::{BatchSql, TableName};
use futures::TryStreamExt;

use crate::asof::Told;
use crate::memory_tables::MemoryTables;
use crate::{
    AskedGroup, BatchQuery, BatchTable, Engine, EngineConfig, FileKind, GroupHistory, HistoricalQuery, InputFeature,
    KeyFilter, KnownTo, OfflineTables, Spine,
};

fn group(name: &str, id: u32, features: &[(&str, DataType)]) -> Arc<GroupSchema> {
    Arc::new(GroupSchema {
        name: name.parse().expect("a group"),
        id: GroupId(id),
        generation: Generation(0),
        layout: LayoutNumber(0),
        keys: Arc::from([KeyColumn {
            name: Name::new("product_id").expect("a name"),
            key_type: KeyType::Int64,
        }]),
        slots: features
            .iter()
            .map(|(name, data_type)| Slot {
                name: Name::new(name).expect("a name"),
                data_type: data_type.clone(),
                since: LayoutNumber(0),
                hidden: false,
            })
            .collect(),
    })
}

/// (key, event time, ingest time, value, deleted)
type Row = (i64, i64, i64, Option<i64>, bool);

fn rows(feature: &str, rows: &[Row]) -> RecordBatch {
    let times = |times: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) as ArrayRef;
    RecordBatch::try_from_iter([
        (
            "product_id",
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))) as ArrayRef,
        ),
        ("event_time", times(rows.iter().map(|row| row.1).collect())),
        ("ingest_time", times(rows.iter().map(|row| row.2).collect())),
        (feature, Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>())),
        (
            "_deleted",
            Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.4)))),
        ),
    ])
    .expect("a batch")
}

struct Lake {
    tables: Arc<MemoryTables>,
    engine: Engine,
    price: Arc<GroupSchema>,
    views: Arc<GroupSchema>,
    _spill: tempfile::TempDir,
}

fn lake() -> Lake {
    let spill = tempfile::tempdir().expect("a folder");
    let tables = Arc::new(MemoryTables::default());
    let config = EngineConfig {
        parallelism: 2,
        ..EngineConfig::new(spill.path())
    };
    let engine = Engine::new(config, Arc::clone(&tables) as Arc<dyn OfflineTables>).expect("an engine");
    let price = group(
        "product.value",
        1,
        &[("price", DataType::Int64), ("city", DataType::String)],
    );
    let views = group("product.interest", 2, &[("views", DataType::Int64)]);
    tables.append(
        &price,
        &rows(
            "price",
            &[
                (1, 10, 10, Some(100), false),
                (1, 10, 12, Some(110), false),
                (1, 20, 20, Some(120), false),
                (2, 15, 15, Some(200), false),
                (2, 30, 30, None, true),
                // From the future: nobody sees it.
                (2, 40, 35, Some(999), false),
            ],
        ),
    );
    tables.append(
        &price,
        &rows("price", &[(1, 25, 60, Some(125), false), (1, 20, 20, Some(120), false)]),
    );
    tables.append(
        &views,
        &rows("views", &[(1, 12, 12, Some(7), false), (2, 14, 14, Some(3), false)]),
    );
    Lake {
        tables,
        engine,
        price,
        views,
        _spill: spill,
    }
}

impl Lake {
    async fn sql(&self, sql: &str) -> String {
        let input = |schema: &Arc<GroupSchema>, feature: &str, name: &str, ttl| InputFeature {
            schema: Arc::clone(schema),
            version: None,
            ttl,
            feature: feature.to_owned(),
            name: name.to_owned(),
        };
        let tables = BTreeMap::from([
            (
                TableName::from(&self.price.name),
                BatchTable::Group {
                    schema: Arc::clone(&self.price),
                    version: None,
                },
            ),
            (
                TableName::Bare("i".to_owned()),
                BatchTable::Input(vec![
                    input(&self.views, "views", "views", Some(Duration::from_micros(8))),
                    input(&self.price, "price", "cost", None),
                ]),
            ),
        ]);
        let query = BatchQuery {
            sql: BatchSql::parse(sql).expect("a query"),
            start: Timestamp::from_micros(15),
            end: Timestamp::from_micros(26),
            tables,
        };
        let running = self.engine.run_batch(&query).await.expect("a run");
        assert_eq!(running.versions.get("product.value"), Some(&2));
        let schema = running.rows.schema();
        let batches: Vec<_> = running.rows.try_collect().await.expect("rows");
        let all = concat_batches(&schema, &batches).expect("a batch");
        pretty_format_batches(&[all]).expect("text").to_string()
    }

    async fn historical(&self, spine: Spine, known_at: KnownTo, groups: &[(&Arc<GroupSchema>, &str)]) -> RecordBatch {
        let mut asked = Vec::new();
        for (schema, feature) in groups {
            asked.push(AskedGroup {
                history: GroupHistory {
                    schema: Arc::clone(schema),
                    table: self.tables.group(schema, None).await.expect("a table"),
                },
                keys: vec!["product_id".to_owned()],
                features: vec![((*feature).to_owned(), format!("{}.{feature}", schema.name))],
                max_age: None,
                told: Told::default(),
            });
        }
        let query = HistoricalQuery {
            spine,
            groups: asked,
            known_at,
        };
        let stream = self.engine.run_historical(&query).await.expect("a query");
        let schema = stream.schema();
        let batches: Vec<_> = stream.try_collect().await.expect("rows");
        concat_batches(&schema, &batches).expect("a batch")
    }
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    batch
        .column_by_name(name)
        .expect("a column")
        .as_primitive::<Int64Type>()
        .iter()
        .collect()
}

fn micros(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    let column = batch.column_by_name(name).expect("a column");
    column.as_primitive::<TimestampMicrosecondType>().iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_name_is_the_winning_rows() {
    let lake = lake();
    let text = lake
        .sql("SELECT product_id, CAST(event_time AS BIGINT) AS t, price, city FROM product.value ORDER BY 1, 2")
        .await;
    assert_eq!(
        text,
        "\
+------------+----+-------+------+
| product_id | t  | price | city |
+------------+----+-------+------+
| 1          | 10 | 110   |      |
| 1          | 20 | 120   |      |
| 1          | 25 | 125   |      |
| 2          | 15 | 200   |      |
+------------+----+-------+------+"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interval_comes_as_parameters() {
    let lake = lake();
    let text = lake
        .sql(
            "SELECT count(*) AS n, max(price) AS m FROM product.value \
             WHERE event_time >= {{ start }} AND event_time < {{ end }}",
        )
        .await;
    assert!(text.contains("| 3 | 200 |"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_joins_as_of_each_moment() {
    let lake = lake();
    let text = lake
        .sql("SELECT product_id, CAST(event_time AS BIGINT) AS t, views, cost FROM i WHERE event_time < '1970-01-01T00:00:00.000022Z' ORDER BY 1, 2")
        .await;
    assert_eq!(
        text,
        "\
+------------+----+-------+------+
| product_id | t  | views | cost |
+------------+----+-------+------+
| 1          | 10 |       | 110  |
| 1          | 12 | 7     | 110  |
| 1          | 20 | 7     | 120  |
| 2          | 14 | 3     |      |
| 2          | 15 | 3     | 200  |
+------------+----+-------+------+"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spine_keeps_its_rows_and_their_order() {
    let lake = lake();
    let spine = RecordBatch::try_from_iter([
        (
            "product_id",
            Arc::new(Int64Array::from(vec![Some(2), Some(1), None, Some(1), Some(2)])) as ArrayRef,
        ),
        (
            "sold_at",
            Arc::new(TimestampMicrosecondArray::from(vec![29, 11, 11, 50, 30])),
        ),
        ("note", Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"]))),
    ])
    .expect("a batch");
    let table = Arc::new(MemTable::try_new(spine.schema(), vec![vec![spine]]).expect("a table"));
    let spine = Spine::Table {
        table,
        time: "sold_at".to_owned(),
    };
    let asked = [(&lake.price, "price"), (&lake.views, "views")];
    let answer = lake.historical(spine.clone(), KnownTo::Always, &asked).await;
    assert_eq!(
        ints(&answer, "product.value.price"),
        [Some(200), Some(110), None, Some(125), None]
    );
    assert_eq!(
        ints(&answer, "product.interest.views"),
        [Some(3), None, None, Some(7), Some(3)]
    );
    let notes: Vec<_> = answer
        .column_by_name("note")
        .expect("notes")
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    assert_eq!(notes, ["a", "b", "c", "d", "e"]);

    let known = lake
        .historical(spine, KnownTo::At(Timestamp::from_micros(11)), &asked)
        .await;
    assert_eq!(
        ints(&known, "product.value.price"),
        [None, Some(100), None, Some(100), None]
    );
}

/// Large enough that DataFusion splits a scan of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_keeps_its_order() {
    let lake = lake();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spine.parquet");
    let rows = 400_000i64;
    // Without any pattern that an encoding could use.
    let note = (0..rows).map(|row| {
        format!(
            "{:032x}",
            (row as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        )
    });
    let spine = RecordBatch::try_from_iter([
        (
            "product_id",
            Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row % 3))) as ArrayRef,
        ),
        (
            "event_time",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                (0..rows).map(|row| row % 40),
            )),
        ),
        ("row", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("note", Arc::new(note.map(Some).collect::<StringArray>())),
    ])
    .expect("a batch");
    let file = std::fs::File::create(&path).expect("a file");
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, spine.schema(), None).expect("a writer");
    for first in (0..rows as usize).step_by(20_000) {
        writer.write(&spine.slice(first, 20_000)).expect("written");
        writer.flush().expect("a row group");
    }
    writer.close().expect("a file");
    assert!(
        std::fs::metadata(&path).expect("a file").len() > 10 << 20,
        "large enough to be split"
    );
    let url = format!("file://{}", path.display());
    let table = lake
        .engine
        .file_table(&url, FileKind::Parquet, &[])
        .await
        .expect("a table");
    let spine = Spine::Table {
        table,
        time: "event_time".to_owned(),
    };
    let answer = lake
        .historical(
            spine,
            KnownTo::Always,
            &[(&lake.price, "price"), (&lake.views, "views")],
        )
        .await;
    assert!(ints(&answer, "row").into_iter().eq((0..rows).map(Some)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_is_every_moment_in_order() {
    let lake = lake();
    let period = |start: i64, end: i64, keys| Spine::Period {
        start: Some(Timestamp::from_micros(start)),
        end: Some(Timestamp::from_micros(end)),
        keys,
    };
    let asked = [(&lake.price, "price"), (&lake.views, "views")];
    let answer = lake.historical(period(12, 25, None), KnownTo::Always, &asked).await;
    assert_eq!(ints(&answer, "product_id"), [Some(1), Some(1), Some(2), Some(2)]);
    assert_eq!(micros(&answer, "event_time"), [Some(12), Some(20), Some(14), Some(15)]);
    assert_eq!(
        ints(&answer, "product.value.price"),
        [Some(110), Some(120), None, Some(200)]
    );
    let keys = KeyFilter {
        columns: vec!["product_id".to_owned()],
        keys: vec![vec![ScalarValue::Int64(Some(2))]],
    };
    let one = lake
        .historical(period(0, 100, Some(keys)), KnownTo::Always, &asked)
        .await;
    let many = KeyFilter {
        columns: vec!["product_id".to_owned()],
        keys: (2..100_000).map(|key| vec![ScalarValue::Int64(Some(key))]).collect(),
    };
    let same = lake
        .historical(period(0, 100, Some(many)), KnownTo::Always, &asked)
        .await;
    assert_eq!(same, one);
    let none = KeyFilter {
        columns: vec!["product_id".to_owned()],
        keys: Vec::new(),
    };
    let none = lake
        .historical(period(0, 100, Some(none)), KnownTo::Always, &asked)
        .await;
    assert_eq!(none.num_rows(), 0);
    // The delete at 30 and the row from the future at 40 are no moments.
    assert_eq!(micros(&one, "event_time"), [Some(14), Some(15)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_moment_there_is_one_row_per_visible_key() {
    let lake = lake();
    let at = |micros| Spine::At {
        at: Timestamp::from_micros(micros),
        keys: None,
    };
    let asked = [(&lake.price, "price")];
    let answer = lake.historical(at(29), KnownTo::Always, &asked).await;
    assert_eq!(ints(&answer, "product_id"), [Some(1), Some(2)]);
    assert_eq!(ints(&answer, "product.value.price"), [Some(125), Some(200)]);
    let deleted = lake.historical(at(30), KnownTo::Always, &asked).await;
    assert_eq!(ints(&deleted, "product_id"), [Some(1)]);
    assert_eq!(micros(&deleted, "event_time"), [Some(30)]);
}
