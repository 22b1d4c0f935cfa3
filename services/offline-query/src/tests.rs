//! The endpoints over HTTP, on tables in memory.

use std::{collections::BTreeMap, io::Cursor, sync::Arc};

use arrow::{
    array::{
        ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    datatypes::Float64Type,
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use async_trait::async_trait;
use bytes::Bytes;
use forebay_catalog::{Catalog, Snapshot};
use forebay_model::{GroupName, GroupSchema, ManualClock, Timestamp, definitions};
use forebay_query::{Engine, EngineConfig, memory_tables::MemoryTables};
use forebay_server::TestServer;
use forebay_storage::SettledTime;
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use reqwest::{Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{Deps, Limits};

const NOW: &str = "2026-01-20T00:00:00Z";

struct Fixture {
    server: TestServer,
    clock: Arc<ManualClock>,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

/// Everything has settled to this time.
struct SettledTo(Timestamp);

#[async_trait]
impl SettledTime for SettledTo {
    async fn of(&self, _schema: &Arc<GroupSchema>) -> forebay_storage::Result<Timestamp> {
        Ok(self.0)
    }

    async fn wait(
        &self,
        _schema: &Arc<GroupSchema>,
        _until: Timestamp,
        _deadline: std::time::Instant,
    ) -> forebay_storage::Result<Timestamp> {
        Ok(self.0)
    }
}

fn definitions() -> Vec<Value> {
    vec![
        json!({"kind": "Domain", "name": "product"}),
        json!({"kind": "Domain", "name": "visitor"}),
        json!({"kind": "Entity", "name": "product", "domain": "product", "keys": [{"name": "product_id", "type": "int64"}]}),
        json!({"kind": "Entity", "name": "visitor", "domain": "visitor", "keys": [{"name": "visitor_id", "type": "string"}]}),
        json!({"kind": "FeatureGroup", "name": "product.value", "entities": ["product"], "ttl": "5d", "features": [
            {"name": "sale_price", "type": "float64"}, {"name": "embedding", "type": "vector<float32, 2>"}
        ]}),
        json!({"kind": "FeatureGroup", "name": "product.views", "entities": ["product"], "features": [{"name": "n", "type": "int64"}]}),
        json!({"kind": "FeatureGroup", "name": "visitor.profile", "entities": ["visitor"], "features": [{"name": "city", "type": "string"}]}),
        json!({"kind": "FeatureGroup", "name": "product.live", "entities": ["product"], "stores": ["online"], "features": [{"name": "x", "type": "int64"}]}),
        json!({"kind": "FeatureView", "name": "fair_price", "domain": "product",
         "features": [
            {"feature": "product.value.sale_price", "as": "price"},
            {"feature": "visitor.profile.city", "as": "buyer_city", "keys": {"visitor_id": "buyer_id"}}
         ],
         "request": [{"name": "asked_price", "type": "float64"}],
         "expressions": [{"name": "asked_ratio", "type": "float64", "sql": "asked_price / price"}]}),
    ]
}

fn time(text: &str) -> i64 {
    Timestamp::parse(text).expect("a time").micros()
}

fn times(texts: &[&str]) -> ArrayRef {
    let micros = TimestampMicrosecondArray::from_iter_values(texts.iter().map(|text| time(text)));
    Arc::new(micros.with_timezone("UTC"))
}

fn fill(tables: &MemoryTables, snapshot: &Snapshot) {
    let schema = |name: &str| {
        let name: GroupName = name.parse().expect("a group");
        Arc::clone(&snapshot.group(&name).expect("a group").schema)
    };
    let value = RecordBatch::try_from_iter([
        ("product_id", Arc::new(Int64Array::from(vec![1, 1, 2, 3])) as ArrayRef),
        (
            "event_time",
            times(&[
                "2026-01-01T00:00:00Z",
                "2026-01-03T00:00:00Z",
                "2026-01-02T00:00:00Z",
                "2026-01-02T00:00:00Z",
            ]),
        ),
        (
            "ingest_time",
            times(&[
                "2026-01-01T00:00:00Z",
                "2026-01-10T00:00:00Z",
                "2026-01-02T00:00:00Z",
                "2026-01-02T00:00:00Z",
            ]),
        ),
        (
            "sale_price",
            Arc::new(Float64Array::from(vec![Some(100.0), Some(110.0), None, Some(7.0)])),
        ),
        (
            "_deleted",
            Arc::new(BooleanArray::from(vec![false, false, false, true])),
        ),
    ]);
    tables.append(&schema("product.value"), &value.expect("a batch"));
    let views = RecordBatch::try_from_iter([
        ("product_id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("event_time", times(&["2026-01-02T12:00:00Z", "2026-01-04T00:00:00Z"])),
        ("ingest_time", times(&["2026-01-02T12:00:00Z", "2026-01-04T00:00:00Z"])),
        ("n", Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 2]))),
    ]);
    tables.append(&schema("product.views"), &views.expect("a batch"));
    let profile = RecordBatch::try_from_iter([
        ("visitor_id", Arc::new(StringArray::from(vec!["v1"])) as ArrayRef),
        ("event_time", times(&["2026-01-01T00:00:00Z"])),
        ("ingest_time", times(&["2026-01-01T00:00:00Z"])),
        ("city", Arc::new(StringArray::from(vec!["São, \"Paulo\""]))),
    ]);
    tables.append(&schema("visitor.profile"), &profile.expect("a batch"));
}

/// A folder that copies of the service share.
fn spines(folder: &std::path::Path) -> crate::SpineFolder {
    let folder = folder.join("spines");
    std::fs::create_dir_all(&folder).expect("a folder");
    let folder = folder.canonicalize().expect("a folder");
    crate::SpineFolder {
        store: Arc::new(object_store::local::LocalFileSystem::new()),
        path: object_store::path::Path::from_absolute_path(&folder).expect("a path"),
        url: url::Url::from_file_path(&folder).expect("a URL"),
    }
}

impl Fixture {
    async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let parsed = definitions::parse(&definitions()).expect("definitions");
        let parsed = parsed.into_iter().map(|parsed| parsed.definition);
        let snapshot = Snapshot::of_definitions(parsed, &BTreeMap::new()).expect("a snapshot");
        let folder = tempfile::tempdir().expect("a folder");
        let tables = MemoryTables::with_root(folder.path().join("lake"));
        fill(&tables, &snapshot);
        std::fs::create_dir_all(folder.path().join("lake")).expect("a folder");
        let config = EngineConfig {
            parallelism: 2,
            ..EngineConfig::new(folder.path().join("spill"))
        };
        let clock = Arc::new(ManualClock::at(Timestamp::parse(NOW).expect("a time")));
        let deps = Deps {
            catalog: Arc::new(Catalog::new(snapshot)),
            engine: Engine::new(config, Arc::new(tables)).expect("an engine"),
            settled: Arc::new(SettledTo(Timestamp::parse(NOW).expect("a time"))),
            spines: spines(folder.path()),
            scratch: folder.path().join("uploads"),
            clock: Arc::clone(&clock) as Arc<dyn forebay_model::Clock>,
            work: tokio::runtime::Handle::current(),
            limits,
        };
        Self {
            server: TestServer::start([crate::service(deps)]).await,
            clock,
            http: reqwest::Client::new(),
            folder,
        }
    }

    async fn send(&self, accept: &str, body: &Value) -> Response {
        let request = self.http.post(self.server.url("/v1/historical-features"));
        let request = request.header(header::ACCEPT, accept).json(body);
        request.send().await.expect("an answer")
    }

    /// The answer's columns by name.
    async fn ask(&self, body: Value) -> BTreeMap<String, Value> {
        let response = self.send("application/json", &body).await;
        let status = response.status();
        let answer: Value = response.json().await.expect("JSON");
        assert_eq!(status, StatusCode::OK, "{answer}");
        let columns = answer["columns"].as_array().expect("columns");
        columns
            .iter()
            .map(|column| {
                let name = column["name"].as_str().expect("a name").to_owned();
                (name, column["values"].clone())
            })
            .collect()
    }

    /// The status, the code, and the first place of a problem.
    async fn refused(&self, body: Value) -> (u16, String, String) {
        problem(self.send("application/json", &body).await).await
    }

    async fn upload(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.http.post(self.server.url("/v1/spines"));
        let request = request.header(header::CONTENT_TYPE, content_type).body(body);
        request.send().await.expect("an answer")
    }
}

async fn problem(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let problem: Value = response.json().await.expect("a problem");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (status, text(&problem["code"]), text(&problem["errors"][0]["pointer"]))
}

fn spine(ids: Value, times: Value) -> Value {
    json!({"columns": {"product_id": ids, "event_time": times}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inline_spine_is_answered_in_its_order() {
    let fixture = Fixture::start().await;
    let response = fixture
        .send(
            "application/json",
            &json!({
                "features": ["product.value.sale_price", "product.views.n"],
                "spine": {"columns": {
                    "product_id": [2, 1, 1, null, "3"],
                    "event_time": ["2026-01-02T00:00:00Z", "2026-01-02T23:00:00-01:00", "2026-01-08T00:00:00.000001Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"],
                    "label": [0, 1, 0, null, 1]
                }},
                "include": ["values", "statuses", "event_timestamps"]
            }),
        )
        .await;
    let answer: Value = response.json().await.expect("JSON");
    let columns: Vec<(&str, &str, &Value)> = answer["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| {
            let text = |name: &str| column[name].as_str().expect("text");
            (text("name"), text("type"), &column["values"])
        })
        .collect();
    let expected = [
        // `json!` sorts keys.
        (
            "event_time",
            "timestamp",
            json!([
                "2026-01-02T00:00:00Z",
                "2026-01-03T00:00:00Z",
                "2026-01-08T00:00:00.000001Z",
                "2026-01-02T00:00:00Z",
                "2026-01-03T00:00:00Z"
            ]),
        ),
        ("label", "int64", json!([0, 1, 0, null, 1])),
        ("product_id", "int64", json!([2, 1, 1, null, 3])),
        (
            "product.value.sale_price",
            "float64",
            json!([null, 110.0, null, null, null]),
        ),
        (
            "product.value.sale_price__status",
            "string",
            json!(["NULL_VALUE", "PRESENT", "OUTSIDE_MAX_AGE", "NOT_FOUND", "NOT_FOUND"]),
        ),
        (
            "product.value.sale_price__event_timestamp",
            "timestamp",
            json!([
                "2026-01-02T00:00:00Z",
                "2026-01-03T00:00:00Z",
                "2026-01-03T00:00:00Z",
                null,
                null
            ]),
        ),
        (
            "product.views.n",
            "int64",
            json!([null, 9_007_199_254_740_993_i64, 9_007_199_254_740_993_i64, null, null]),
        ),
        (
            "product.views.n__status",
            "string",
            json!(["NOT_FOUND", "PRESENT", "PRESENT", "NOT_FOUND", "NOT_FOUND"]),
        ),
        (
            "product.views.n__event_timestamp",
            "timestamp",
            json!([null, "2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z", null, null]),
        ),
    ];
    for (column, (name, data_type, values)) in columns.iter().zip(&expected) {
        assert_eq!((column.0, column.1, column.2), (*name, *data_type, values));
    }
    assert_eq!(columns.len(), expected.len());
    let metadata = &answer["metadata"];
    assert_eq!(metadata["rows"], 5);
    assert_eq!(metadata["registry_revision"], 1);
    assert_eq!(metadata["not_point_in_time"], json!([]));
    assert_eq!(
        metadata["table_versions"],
        json!({"product.value": 1, "product.views": 1})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_known_then_decides() {
    let fixture = Fixture::start().await;
    let body = |extra: Value| {
        let mut body = json!({
            "features": ["product.value.sale_price"],
            "spine": {"columns": {
                "product_id": [1, 1],
                "event_time": ["2026-01-04T00:00:00Z", "2026-01-04T00:00:00Z"],
                "told_at": ["2026-01-09T00:00:00Z", "2026-01-10T00:00:00Z"]
            }}
        });
        let (Some(body), Some(extra)) = (body.as_object_mut(), extra.as_object()) else {
            unreachable!("objects")
        };
        body.extend(extra.clone());
        Value::Object(body.clone())
    };
    let price = "product.value.sale_price";
    let answer = fixture.ask(body(json!({"known_at": "2026-01-09T00:00:00Z"}))).await;
    assert_eq!(answer[price], json!([100.0, 100.0]));
    let answer = fixture.ask(body(json!({"known_at_column": "told_at"}))).await;
    assert_eq!(answer[price], json!([100.0, 110.0]));
    let answer = fixture.ask(body(json!({"max_age": "12h"}))).await;
    assert_eq!(answer[price], json!([null, null]));
    // Later than everything has settled: the answer says so.
    let late = fixture
        .send("application/json", &body(json!({"known_at": "2026-01-21T00:00:00Z"})))
        .await;
    let late: Value = late.json().await.expect("JSON");
    assert_eq!(
        late["metadata"]["not_settled"],
        json!({"product.value": "2026-01-20T00:00:00Z"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_has_its_names_and_expressions() {
    let fixture = Fixture::start().await;
    let answer = fixture
        .ask(json!({
            "view": "fair_price",
            "spine": {"event_time": "sold_at", "columns": {
                "product_id": [1, 2], "buyer_id": ["v1", "v2"], "sold_at": ["2026-01-04T00:00:00Z", "2026-01-04T00:00:00Z"],
                "asked_price": [220, 1.5]
            }},
            "include": ["values", "statuses"]
        }))
        .await;
    assert_eq!(answer["price"], json!([110.0, null]));
    assert_eq!(answer["buyer_city"], json!(["São, \"Paulo\"", null]));
    assert_eq!(answer["asked_ratio"], json!([2.0, null]));
    assert_eq!(answer["asked_ratio__status"], json!(["PRESENT", "NULL_VALUE"]));
    assert_eq!(answer["buyer_city__status"], json!(["PRESENT", "NOT_FOUND"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_and_moments_make_their_own_spine() {
    let fixture = Fixture::start().await;
    let both = json!(["product.value.sale_price", "product.views.n"]);
    let answer = fixture
        .ask(json!({"features": both, "period": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-04T00:00:00Z"}}))
        .await;
    assert_eq!(answer["product_id"], json!([1, 1, 2]));
    assert_eq!(
        answer["event_time"],
        json!(["2026-01-02T12:00:00Z", "2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"])
    );
    assert_eq!(answer["product.value.sale_price"], json!([100.0, 110.0, null]));
    let answer = fixture
        .ask(json!({"features": both, "period": {}, "entities": {"product_id": [2]}, "int64": "string"}))
        .await;
    assert_eq!(answer["product_id"], json!(["2", "2"]));
    let answer = fixture
        .ask(json!({"features": both, "at": "2026-01-03T00:00:00Z"}))
        .await;
    assert_eq!(answer["product_id"], json!([1, 2]));
    assert_eq!(answer["product.value.sale_price"], json!([110.0, null]));
    let answer = fixture
        .ask(json!({"features": ["product.value.sale_price"], "at": "2026-01-08T00:00:00.000001Z"}))
        .await;
    assert_eq!(answer["product_id"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_as_arrow_parquet_and_csv() {
    let fixture = Fixture::start().await;
    let body = json!({
        "features": ["product.value.sale_price", "visitor.profile.city"],
        "spine": {"columns": {
            "product_id": [1, 2], "visitor_id": ["v1", ""],
            "event_time": ["2026-01-03T00:00:00Z", "2026-01-03T00:00:00Z"]
        }}
    });
    let arrow = fixture.send("application/vnd.apache.arrow.stream", &body).await;
    let bytes = arrow.bytes().await.expect("a body");
    let reader = StreamReader::try_new(Cursor::new(bytes), None).expect("a stream");
    let metadata: Value = serde_json::from_str(&reader.schema().metadata()["forebay"]).expect("metadata");
    assert_eq!(metadata["registry_revision"], 1);
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().expect("batches");
    let price = batches[0].column_by_name("product.value.sale_price").expect("a column");
    assert_eq!(price.as_primitive::<Float64Type>().value(0), 110.0);

    let parquet = fixture.send("application/vnd.apache.parquet", &body).await;
    let bytes: Bytes = parquet.bytes().await.expect("a body");
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .expect("a file")
        .build()
        .expect("a reader");
    let rows: usize = reader.map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows, 2);

    let in_order = r#"{"features": ["product.value.sale_price", "visitor.profile.city"], "spine": {"columns": {
        "product_id": [1, 2], "visitor_id": ["v1", ""], "event_time": ["2026-01-03T00:00:00Z", "2026-01-03T00:00:00Z"]}}}"#;
    let csv = fixture.http.post(fixture.server.url("/v1/historical-features"));
    let csv = csv
        .header(header::ACCEPT, "text/csv")
        .body(in_order)
        .send()
        .await
        .expect("an answer");
    let csv = csv.text().await.expect("text");
    assert_eq!(
        csv,
        "product_id,visitor_id,event_time,product.value.sale_price,visitor.profile.city\r\n\
         1,v1,2026-01-03T00:00:00Z,110.0,\"São, \"\"Paulo\"\"\"\r\n\
         2,\"\",2026-01-03T00:00:00Z,,\r\n"
    );
    let none = fixture.send("image/png", &body).await;
    assert_eq!(problem(none).await, (406, "not_acceptable".to_owned(), String::new()));
}

fn labels() -> RecordBatch {
    RecordBatch::try_from_iter([
        ("product_id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("sold_at", times(&["2026-01-03T00:00:00Z", "2026-01-03T00:00:00Z"])),
    ])
    .expect("a batch")
}

fn parquet_file(batch: &RecordBatch) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("a file");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn spines_are_uploaded_in_every_format_and_expire() {
    let fixture = Fixture::start().await;
    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new(&mut stream, &labels().schema()).expect("a writer");
    writer.write(&labels()).expect("written");
    writer.finish().expect("a stream");
    drop(writer);
    let csv = "product_id,sold_at,note\r\n1,2026-01-03T00:00:00Z,\"a,b\"\r\n2,2026-01-03T00:00:00Z,\r\n";
    let bodies = [
        ("application/vnd.apache.parquet", parquet_file(&labels())),
        ("application/vnd.apache.arrow.stream", stream),
        ("text/csv; charset=utf-8", csv.as_bytes().to_vec()),
    ];
    let ask =
        |id: &Value| json!({"features": ["product.value.sale_price"], "spine": {"id": id, "event_time": "sold_at"}});
    let mut last = Value::Null;
    for (content_type, body) in bodies {
        let kept = fixture.upload(content_type, body).await;
        assert_eq!(kept.status(), StatusCode::OK, "{content_type}");
        let kept: Value = kept.json().await.expect("JSON");
        assert_eq!(kept["rows"], 2);
        assert_eq!(kept["expires_at"], "2026-01-21T00:00:00Z");
        let answer = fixture.ask(ask(&kept["id"])).await;
        assert_eq!(
            answer["product.value.sale_price"],
            json!([110.0, null]),
            "{content_type}"
        );
        last = kept["id"].clone();
    }
    fixture
        .clock
        .set(Timestamp::parse("2026-01-21T00:00:00Z").expect("a time"));
    let expired = fixture.refused(ask(&last)).await;
    assert_eq!(expired, (422, "invalid_value".to_owned(), "/spine/id".to_owned()));
    for id in ["", "../x", "7fffffff-00000000000000000000000000000000", "x-y"] {
        assert_eq!(fixture.refused(ask(&json!(id))).await.1, "invalid_value", "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_uploads_are_refused() {
    let limits = Limits {
        upload_bytes: 2_000,
        upload_rows: 1,
        ..Limits::default()
    };
    let fixture = Fixture::with(limits).await;
    let code = async |content_type: &str, body: Vec<u8>| {
        let (status, code, _) = problem(fixture.upload(content_type, body).await).await;
        (status, code)
    };
    assert_eq!(
        code("image/png", vec![]).await,
        (415, "unsupported_media_type".to_owned())
    );
    let parquet = "application/vnd.apache.parquet";
    assert_eq!(code(parquet, b"PAR1".to_vec()).await, (400, "not_parseable".to_owned()));
    assert_eq!(code(parquet, vec![]).await, (400, "not_parseable".to_owned()));
    assert_eq!(
        code(parquet, parquet_file(&labels())).await,
        (422, "over_limit".to_owned())
    );
    assert_eq!(
        code("text/csv", b"a,b\n1\n".to_vec()).await,
        (400, "not_parseable".to_owned())
    );
    assert_eq!(
        code("text/csv", b"a\n1\n2\n".to_vec()).await,
        (422, "over_limit".to_owned())
    );
    assert_eq!(
        code("text/csv", vec![b'a'; 3_000]).await,
        (413, "body_too_large".to_owned())
    );
    let arrow = "application/vnd.apache.arrow.stream";
    assert_eq!(
        code(arrow, b"nonsense".to_vec()).await,
        (400, "not_parseable".to_owned())
    );
    for folder in ["spines", "uploads"] {
        let left: Vec<_> = std::fs::read_dir(fixture.folder.path().join(folder))
            .expect("a folder")
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spine_lies_at_a_uri() {
    let fixture = Fixture::start().await;
    let lake = fixture.folder.path().join("lake");
    std::fs::write(lake.join("labels.parquet"), parquet_file(&labels())).expect("a file");
    std::fs::write(lake.join("labels.csv"), "product_id,sold_at\n1,2026-01-03T00:00:00Z\n").expect("a file");
    let ask =
        |uri: &str| json!({"features": ["product.value.sale_price"], "spine": {"uri": uri, "event_time": "sold_at"}});
    let answer = fixture.ask(ask("labels.parquet")).await;
    assert_eq!(answer["product.value.sale_price"], json!([110.0, null]));
    let answer = fixture.ask(ask("labels.csv")).await;
    assert_eq!(answer["product.value.sale_price"], json!([110.0]));
    let place = |code: &str| (422, code.to_owned(), "/spine/uri".to_owned());
    assert_eq!(
        fixture.refused(ask("/etc/labels.csv")).await,
        place("location_not_allowed")
    );
    assert_eq!(
        fixture.refused(ask("../labels.parquet")).await,
        place("location_not_allowed")
    );
    assert_eq!(fixture.refused(ask("missing")).await, place("source_not_found"));
    assert_eq!(fixture.refused(ask("missing.parquet")).await, place("source_not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_refused_where_they_are_wrong() {
    let limits = Limits {
        features: 3,
        inline_rows: 2,
        entities: 2,
        json_values: 5,
        ..Limits::default()
    };
    let fixture = Fixture::with(limits).await;
    let good = spine(json!([1]), json!(["2026-01-03T00:00:00Z"]));
    let features = json!(["product.value.sale_price"]);
    let price = "product.value.sale_price";
    let cases = [
        (
            json!({"features": ["product.value.sale_prize"], "spine": good}),
            "unknown_feature",
            "/features/0",
        ),
        (
            json!({"features": ["x"], "spine": good}),
            "unknown_feature",
            "/features/0",
        ),
        (
            json!({"features": ["product.live.x"], "spine": good}),
            "no_history",
            "/features/0",
        ),
        (
            json!({"features": [price, price], "spine": good}),
            "duplicate",
            "/features/1",
        ),
        (
            json!({"features": [price, "a.b.c", "a.b.d", "a.b.e"], "spine": good}),
            "over_limit",
            "/features",
        ),
        (json!({"features": [], "spine": good}), "invalid_value", "/features"),
        (json!({"spine": good}), "missing_field", "/features"),
        (
            json!({"features": features, "view": "fair_price", "spine": good}),
            "invalid_combination",
            "/view",
        ),
        (json!({"view": "unfair", "spine": good}), "unknown_view", "/view"),
        (
            json!({"view": "fair_price", "revision": 7, "spine": good}),
            "unknown_view",
            "/revision",
        ),
        (json!({"features": features}), "invalid_combination", ""),
        (
            json!({"features": features, "spine": good, "at": NOW}),
            "invalid_combination",
            "",
        ),
        (
            json!({"features": features, "spine": {"columns": {}}}),
            "missing_key",
            "/spine/columns",
        ),
        (
            json!({"features": features, "spine": {}}),
            "invalid_combination",
            "/spine",
        ),
        (
            json!({"features": features, "spine": {"columns": {"product_id": [1]}}}),
            "missing_event_time",
            "/spine/columns",
        ),
        (
            json!({"features": features, "spine": {"columns": {"event_time": [NOW]}}}),
            "missing_key",
            "/spine/columns",
        ),
        (
            json!({"features": features, "spine": spine(json!([1.5]), json!([NOW]))}),
            "wrong_type",
            "/spine/columns/product_id/0",
        ),
        (
            json!({"features": features, "spine": spine(json!([1, 2]), json!([NOW]))}),
            "invalid_value",
            "/spine/columns",
        ),
        (
            json!({"features": features, "spine": spine(json!([1, 2, 3]), json!([NOW, NOW, NOW]))}),
            "over_limit",
            "/spine/columns",
        ),
        (
            json!({"features": features, "spine": {"columns": {"product_id": [1], "event_time": [NOW], "x": [[1]]}}}),
            "wrong_type",
            "/spine/columns/x",
        ),
        (
            json!({"features": features, "spine": {"columns": {"product_id": [1], "event_time": [NOW], price: [1]}}}),
            "duplicate",
            "/spine",
        ),
        (
            json!({"features": features, "spine": good, "known_at": NOW, "known_at_column": "event_time"}),
            "invalid_combination",
            "/known_at_column",
        ),
        (
            json!({"features": features, "spine": good, "known_at_column": "nope"}),
            "unknown_column",
            "/spine/columns",
        ),
        (
            json!({"features": features, "spine": good, "entities": {"product_id": [1]}}),
            "invalid_combination",
            "/entities",
        ),
        (
            json!({"features": [price, "visitor.profile.city"], "period": {}}),
            "mixed_keys",
            "/features",
        ),
        (
            json!({"features": features, "period": {}, "entities": {"visitor_id": ["x"]}}),
            "missing_key",
            "/entities",
        ),
        (
            json!({"features": features, "period": {}, "entities": {"product_id": [1], "x": [1]}}),
            "unknown_key",
            "/entities/x",
        ),
        (
            json!({"features": features, "period": {}, "entities": {"product_id": ["a"]}}),
            "wrong_type",
            "/entities/product_id/0",
        ),
        (
            json!({"features": features, "period": {}, "entities": {"product_id": [1, 2, 3]}}),
            "over_limit",
            "/entities",
        ),
        (json!({"features": features, "period": {}}), "over_limit", ""),
        (
            json!({"features": features, "spine": good, "ttl": "1h"}),
            "unknown_field",
            "/ttl",
        ),
        (json!({"features": features, "at": "yesterday"}), "invalid_value", "/at"),
    ];
    for (body, code, pointer) in cases {
        let refused = fixture.refused(body.clone()).await;
        assert_eq!(refused, (422, code.to_owned(), pointer.to_owned()), "{body}");
    }
    let raw = fixture.http.post(fixture.server.url("/v1/historical-features"));
    let broken = raw.body("{\"features\": [").send().await.expect("an answer");
    assert_eq!(problem(broken).await.0, 400);
}

#[test]
fn openapi_is_up_to_date() {
    forebay_server::assert_checked_in("offline-query", &crate::openapi());
}
