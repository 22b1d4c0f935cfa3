//! The endpoints over a socket, on embedded stores, without the sinks: where rows have got to is told by the tests.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use arrow::{
    array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    ipc::writer::StreamWriter,
};
use forebay_catalog::Catalog;
use forebay_model::{Clock, GroupSchema, ManualClock, Timestamp, Value};
use forebay_rows::{Layouts, RowHead, avro, packed::MAX_ROW_LENGTH, values};
use forebay_server::{ServerConfig, Service, TestServer};
use forebay_storage::{
    ClaimKey, LoggedRow, ProcessAnnouncements, ProcessLeases, Provision, Rejected, RejectedLog, RowLog, Topic,
    UnreadableRecord,
};
use forebay_storage_delta::{DeltaStore, LakeLocations};
use forebay_testkit::TempStores;
use serde_json::{Value as Json, json};

use crate::{
    Deps, IntakeConfig, SinksConfig, State, Store,
    follower::{FollowerState, orders::rebuild_to_do},
    tests::world::SetAside,
};

const NOW: &str = "2026-03-01T00:00:00Z";

struct Ingestion {
    server: TestServer,
    state: Arc<State>,
    stores: TempStores,
    rejected: Arc<SetAside>,
    clock: Arc<ManualClock>,
    http: reqwest::Client,
}

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Json,
}

fn definitions() -> Json {
    json!([
        {"kind": "Domain", "name": "visitor"},
        {"kind": "Entity", "name": "visitor", "domain": "visitor", "keys": [{"name": "visitor_id", "type": "string"}]},
        {"kind": "FeatureGroup", "name": "visitor.profile", "entities": ["visitor"], "features": [
            {"name": "city", "type": "string"}, {"name": "taste", "type": "vector<float32, 2>"}]},
        {"kind": "FeatureGroup", "name": "visitor.spending", "entities": ["visitor"], "stores": ["online"], "features": [
            {"name": "paid", "type": "float64", "checks": {"min": 0}},
            {"name": "visits", "type": "int64", "checks": {"max": 100, "on_fail": "null"}},
            {"name": "fee", "type": "decimal(10,2)", "checks": {"min": 0.005, "on_fail": "warn"}}]},
        {"kind": "FeatureGroup", "name": "visitor.sums", "entities": ["visitor"], "features": [{"name": "total", "type": "float64"}],
            "batch": {"sql": "SELECT visitor_id, event_time, paid AS total FROM visitor.spending", "trigger": {"on_change": true}}},
        {"kind": "FeatureGroup", "name": "visitor.labels", "entities": ["visitor"], "ingest": "commits", "features": [{"name": "label", "type": "int64"}]},
    ])
}

impl Ingestion {
    async fn start() -> Self {
        Self::with(IntakeConfig::default()).await
    }

    async fn with(intake: IntakeConfig) -> Self {
        let stores = TempStores::open();
        let clock = Arc::new(ManualClock::at(Timestamp::parse(NOW).unwrap()));
        let snapshot = forebay_testkit::snapshot(&definitions());
        for group in snapshot.groups() {
            stores.row_log.ensure(&group.schema).await.unwrap();
            stores.online.ensure(&group.schema).await.unwrap();
        }
        let lake = stores.folder().join("lake");
        std::fs::create_dir_all(&lake).unwrap();
        let offline = Arc::new(DeltaStore::new(LakeLocations::new(&lake, &[]).unwrap(), clock.clone()));
        for group in snapshot.groups() {
            offline.ensure(&group.schema).await.unwrap();
        }
        let rejected = Arc::new(SetAside::default());
        let state = Arc::new(State::new(Deps {
            catalog: Arc::new(Catalog::new(snapshot)),
            row_log: stores.row_log.clone(),
            online: stores.online.clone(),
            offline,
            claims: stores.claims.clone(),
            leases: Arc::new(ProcessLeases::default()),
            announcements: Arc::new(ProcessAnnouncements::default()),
            rejected: rejected.clone(),
            process: uuid::Uuid::from_u128(1),
            clock: clock.clone(),
            intake,
            sinks: SinksConfig::default(),
        }));
        let service = Service::new("ingestion", "", super::routes(), state.clone());
        let config = ServerConfig {
            max_body_bytes: state.deps.intake.max_body_bytes,
            ..ServerConfig::default()
        };
        Self {
            server: TestServer::with_config([service], config).await,
            state,
            stores,
            clock,
            rejected,
            http: reqwest::Client::new(),
        }
    }

    async fn send(&self, path: &str, media_type: &str, key: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
        let mut request = self
            .http
            .post(self.server.url(path))
            .header("content-type", media_type)
            .body(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    async fn rows(&self, path: &str, rows: Json) -> Answer {
        self.send(path, "application/json", None, json!({"rows": rows}).to_string())
            .await
    }

    fn schema(&self, group: &str) -> Arc<GroupSchema> {
        self.state
            .deps
            .catalog
            .current()
            .group(&group.parse().unwrap())
            .unwrap()
            .schema
            .clone()
    }

    async fn logged(&self, group: &str) -> Vec<LoggedRow> {
        let schema = self.schema(group);
        let fetched = self
            .stores
            .row_log
            .fetch(&schema, 0, 0, 1 << 30, Duration::ZERO)
            .await
            .unwrap();
        fetched.rows
    }

    /// The features of the logged rows.
    async fn values(&self, group: &str) -> Vec<Vec<Value>> {
        let layouts = Layouts::new(self.schema(group));
        let rows = self.logged(group).await;
        rows.iter()
            .map(|row| values::read_all(&layouts.open(&row.row).unwrap()).unwrap())
            .collect()
    }
}

impl Answer {
    async fn of(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.json().await.unwrap(),
        }
    }

    /// Status and code of a problem.
    fn problem(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or("none"))
    }
}

fn profile(visitor: &str, event_time: &str) -> Json {
    json!({"visitor_id": visitor, "event_time": event_time, "city": "Recife", "taste": [0.5, 1]})
}

#[tokio::test]
async fn a_row_is_acknowledged_once_the_log_holds_it() {
    let ingestion = Ingestion::start().await;
    let answer = ingestion
        .rows(
            "/v1/rows/visitor.profile",
            json!([
                {"visitor_id": "v1", "event_time": "2026-01-02T03:04:05.000006Z", "city": "Recife", "taste": null},
                {"visitor_id": "v1", "event_time": "2026-01-02T04:04:05+01:00", "_deleted": true},
            ]),
        )
        .await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.body["accepted"], 2);
    assert_eq!(
        (&answer.body["rejected_count"], &answer.body["rejected"]),
        (&json!(0), &json!([]))
    );
    let rows = ingestion.logged("visitor.profile").await;
    let heads: Vec<_> = rows.iter().map(|row| RowHead::read(&row.row).unwrap()).collect();
    assert_eq!(heads[0].event_time.to_string(), "2026-01-02T03:04:05.000006Z");
    assert_eq!(heads[1].event_time.to_string(), "2026-01-02T03:04:05Z");
    assert_eq!((heads[0].deleted, heads[1].deleted), (false, true));
    assert!(heads.iter().all(|head| head.ingest_time == ingestion.clock.now()));
    assert!(heads[0].sequence < heads[1].sequence);
    assert_eq!(
        ingestion.values("visitor.profile").await,
        [
            vec![Value::String("Recife".into()), Value::Null],
            vec![Value::Null, Value::Null]
        ]
    );
}

#[tokio::test]
async fn one_bad_row_and_none_is_accepted_unless_told_to_skip() {
    let ingestion = Ingestion::start().await;
    let rows = json!([
        profile("v1", "2026-01-01T00:00:00Z"),
        {"visitor_id": "v2", "event_time": "2026-01-01T00:00:00Z", "taste": null},
        {"visitor_id": "v3", "event_time": "2026-01-01T00:00:00Z", "city": 7, "taste": null},
        profile("v4", "2026-03-01T00:00:02Z"),
    ]);
    let answer = ingestion.rows("/v1/rows/visitor.profile", rows.clone()).await;
    assert_eq!(answer.problem(), (422, "rejected_rows"));
    assert_eq!(answer.body["rejected_count"], 3);
    let told = |body: &Json| -> Vec<(u64, String, String)> {
        let rejected = body["rejected"].as_array().unwrap();
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        rejected
            .iter()
            .map(|row| (row["index"].as_u64().unwrap(), text(&row["field"]), text(&row["code"])))
            .collect()
    };
    let expected = [
        (1, "city".to_owned(), "missing_feature".to_owned()),
        (2, "city".to_owned(), "wrong_type".to_owned()),
        (3, "event_time".to_owned(), "event_time_ahead".to_owned()),
    ];
    assert_eq!(told(&answer.body), expected);
    assert_eq!(answer.body["errors"][1]["pointer"], "/rows/2/city");
    assert!(ingestion.logged("visitor.profile").await.is_empty());

    let answer = ingestion
        .rows("/v1/rows/visitor.profile?on_invalid=skip", rows.clone())
        .await;
    assert_eq!((answer.status, &answer.body["accepted"]), (202, &json!(1)));
    assert_eq!(told(&answer.body), expected);
    assert_eq!(ingestion.logged("visitor.profile").await.len(), 1);
    let answer = ingestion
        .rows("/v1/rows/visitor.profile?on_invalid=skip&missing=null", rows)
        .await;
    assert_eq!(answer.body["accepted"], 2);
}

#[tokio::test]
async fn a_row_slightly_ahead_is_waited_for() {
    let ingestion = Ingestion::start().await;
    let ahead = profile("v1", "2026-03-01T00:00:01Z");
    let (answer, ()) = tokio::join!(ingestion.rows("/v1/rows/visitor.profile", json!([ahead])), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(ingestion.logged("visitor.profile").await.is_empty());
        ingestion.clock.advance(forebay_model::Duration::from_micros(1_000_000));
    });
    assert_eq!(answer.status, 202, "{}", answer.body);
    let head = RowHead::read(&ingestion.logged("visitor.profile").await[0].row).unwrap();
    assert!(head.event_time <= head.ingest_time);
}

#[tokio::test]
async fn rows_without_event_time_can_take_the_moment_of_the_request() {
    let ingestion = Ingestion::start().await;
    let row = json!([{"visitor_id": "v1", "city": null, "taste": null}, profile("v2", "2026-01-01T00:00:00Z")]);
    let answer = ingestion.rows("/v1/rows/visitor.profile", row.clone()).await;
    assert_eq!(answer.body["rejected"][0]["code"], "missing_event_time");
    let answer = ingestion.rows("/v1/rows/visitor.profile?event_time=now", row).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let rows = ingestion.logged("visitor.profile").await;
    let times: Vec<_> = rows
        .iter()
        .map(|row| RowHead::read(&row.row).unwrap().event_time.to_string())
        .collect();
    assert_eq!(times, [NOW, "2026-01-01T00:00:00Z"]);
}

#[tokio::test]
async fn the_same_rows_come_in_every_format() {
    let ingestion = Ingestion::start().await;
    let path = "/v1/rows/visitor.spending?missing=null";
    let time = Timestamp::parse("2026-01-01T00:00:00Z").unwrap().micros();
    let batch = RecordBatch::try_from_iter([
        (
            "event_time",
            Arc::new(TimestampMicrosecondArray::from(vec![time, time])) as ArrayRef,
        ),
        ("paid", Arc::new(Float64Array::from(vec![Some(1.5), None]))),
        ("visitor_id", Arc::new(StringArray::from(vec!["a", "b"]))),
    ])
    .unwrap();
    let mut arrow = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    arrow.write(&batch).unwrap();
    let arrow = arrow.into_inner().unwrap();
    let mut parquet = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    parquet.write(&batch).unwrap();
    let parquet = parquet.into_inner().unwrap();
    let line =
        |visitor: &str, paid: Json| json!({"visitor_id": visitor, "paid": paid, "event_time": "2026-01-01T00:00:00Z"});
    let rows = [line("a", json!(1.5)), line("b", Json::Null)];
    let lines = format!("{}\r\n\n{}", rows[0], rows[1]);
    for (media_type, body) in [
        ("application/json", json!({"rows": rows}).to_string().into_bytes()),
        ("application/x-ndjson", lines.into_bytes()),
        ("application/vnd.apache.arrow.stream", arrow.clone()),
        ("application/vnd.apache.parquet", parquet.clone()),
    ] {
        let answer = ingestion.send(path, media_type, None, body).await;
        assert_eq!(
            (answer.status, &answer.body["accepted"]),
            (202, &json!(2)),
            "{media_type}: {}",
            answer.body
        );
    }
    let rows = ingestion.logged("visitor.spending").await;
    let values = ingestion.values("visitor.spending").await;
    assert_eq!(rows.len(), 8);
    for pair in 1..4 {
        assert_eq!(
            (&rows[0].key, &rows[1].key),
            (&rows[2 * pair].key, &rows[2 * pair + 1].key)
        );
        assert_eq!(values[..2], values[2 * pair..2 * pair + 2]);
    }
    let half = ingestion
        .send(
            path,
            "application/vnd.apache.arrow.stream",
            None,
            arrow[..arrow.len() / 2].to_vec(),
        )
        .await;
    assert_eq!(half.problem(), (400, "not_parseable"));
    let half = ingestion
        .send(
            path,
            "application/vnd.apache.parquet",
            None,
            parquet[..parquet.len() / 2].to_vec(),
        )
        .await;
    assert_eq!(half.problem(), (400, "not_parseable"));
    for at in 0..arrow.len().min(600) {
        let mut broken = arrow.clone();
        broken[at] ^= 0x41;
        let answer = ingestion
            .send(path, "application/vnd.apache.arrow.stream", None, broken)
            .await;
        assert!(answer.status < 500, "byte {at}: {}", answer.body);
    }
    for at in (0..parquet.len()).step_by(7) {
        let mut broken = parquet.clone();
        broken[at] ^= 0x41;
        let answer = ingestion
            .send(path, "application/vnd.apache.parquet", None, broken)
            .await;
        assert!(answer.status < 500, "byte {at}: {}", answer.body);
    }
}

#[tokio::test]
async fn lines_that_are_no_json_are_rows_that_do_not_fit() {
    let ingestion = Ingestion::start().await;
    let good = profile("v1", "2026-01-01T00:00:00Z").to_string();
    let mut body = format!("{good}\nnot json\n{good} x\n[]\n").into_bytes();
    body.extend_from_slice(b"{\"visitor_id\": \"\xff\"}\n");
    body.extend_from_slice(good.as_bytes());
    let path = "/v1/rows/visitor.profile?on_invalid=skip";
    let answer = ingestion.send(path, "application/x-ndjson", None, body).await;
    assert_eq!(
        (answer.status, &answer.body["accepted"]),
        (202, &json!(2)),
        "{}",
        answer.body
    );
    let codes: Vec<_> = answer.body["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["index"].clone(), row["code"].clone()))
        .collect();
    assert_eq!(
        codes,
        [
            (json!(1), json!("not_parseable")),
            (json!(2), json!("not_parseable")),
            (json!(3), json!("not_an_object")),
            (json!(4), json!("not_parseable"))
        ]
    );
}

#[tokio::test]
async fn checks_reject_or_make_null_or_let_pass() {
    let ingestion = Ingestion::start().await;
    let row = |paid: Json, visits: Json, fee: Json| json!({"visitor_id": "v1", "event_time": "2026-01-01T00:00:00Z", "paid": paid, "visits": visits, "fee": fee});
    let rows = json!([
        row(json!(0), json!(100), json!("0.01")),
        row(json!(-0.01), json!(1), Json::Null),
        row(json!("NaN"), json!(1), Json::Null),
        row(Json::Null, json!("101"), json!("0.00")),
    ]);
    let answer = ingestion.rows("/v1/rows/visitor.spending?on_invalid=skip", rows).await;
    assert_eq!(answer.body["accepted"], 2, "{}", answer.body);
    let rejected = answer.body["rejected"].as_array().unwrap();
    assert!(
        rejected
            .iter()
            .all(|row| row["code"] == "check_failed" && row["field"] == "paid")
    );
    assert_eq!(
        ingestion.values("visitor.spending").await,
        [
            vec![Value::Float64(0.0), Value::Int64(100), Value::Decimal(1)],
            vec![Value::Null, Value::Null, Value::Decimal(0)]
        ]
    );
}

#[tokio::test]
async fn a_row_beyond_the_limit_is_rejected_and_those_beside_it_are_not() {
    let ingestion = Ingestion::start().await;
    let path = "/v1/rows/visitor.profile?on_invalid=skip&missing=null";
    let (time, text) = ("2026-01-01T00:00:00Z", "x".repeat(MAX_ROW_LENGTH));
    let row = |visitor: &str, city: &str| json!({"visitor_id": visitor, "event_time": time, "city": city});
    let rows = [row("v1", "Recife"), row("v2", &text), row("v3", "Olinda")];
    let lines: Vec<String> = rows.iter().map(Json::to_string).collect();
    let micros = Timestamp::parse(time).unwrap().micros();
    let batch = RecordBatch::try_from_iter([
        (
            "event_time",
            Arc::new(TimestampMicrosecondArray::from(vec![micros; 3])) as ArrayRef,
        ),
        ("city", Arc::new(StringArray::from(vec!["Recife", &text, "Olinda"]))),
        ("visitor_id", Arc::new(StringArray::from(vec!["v1", "v2", "v3"]))),
    ])
    .unwrap();
    let mut arrow = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    arrow.write(&batch).unwrap();
    for (media_type, body) in [
        ("application/json", json!({"rows": rows}).to_string().into_bytes()),
        ("application/x-ndjson", lines.join("\n").into_bytes()),
        ("application/vnd.apache.arrow.stream", arrow.into_inner().unwrap()),
    ] {
        let answer = ingestion.send(path, media_type, None, body).await;
        assert_eq!(
            (answer.status, &answer.body["accepted"]),
            (202, &json!(2)),
            "{media_type}: {}",
            answer.body
        );
        let rejected = &answer.body["rejected"];
        assert_eq!(rejected.as_array().map(Vec::len), Some(1), "{media_type}");
        assert_eq!(
            (&rejected[0]["index"], &rejected[0]["code"]),
            (&json!(1), &json!("row_too_large")),
            "{media_type}: {rejected}"
        );
    }
    assert_eq!(ingestion.logged("visitor.profile").await.len(), 6);
}

#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first_time_and_adds_nothing() {
    let ingestion = Ingestion::start().await;
    let (path, json_type) = ("/v1/rows/visitor.profile", "application/json");
    let body = json!({"rows": [profile("v1", "2026-01-01T00:00:00Z")]}).to_string();
    let first = ingestion.send(path, json_type, Some("k1"), body.clone()).await;
    assert_eq!(first.status, 202);
    ingestion.clock.advance(forebay_model::Duration::from_micros(1_000_000));
    let again = ingestion.send(path, json_type, Some("k1"), body.clone()).await;
    assert_eq!((again.status, &again.body), (202, &first.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(ingestion.logged("visitor.profile").await.len(), 1);

    let other = json!({"rows": [profile("v2", "2026-01-01T00:00:00Z")]}).to_string();
    let reused = ingestion.send(path, json_type, Some("k1"), other).await;
    assert_eq!(reused.problem(), (422, "idempotency_key_reused"));
    let reused = ingestion
        .send(
            "/v1/rows/visitor.profile?missing=null",
            json_type,
            Some("k1"),
            body.clone(),
        )
        .await;
    assert_eq!(reused.problem(), (422, "idempotency_key_reused"));
    let elsewhere =
        json!({"rows": [{"visitor_id": "v1", "event_time": "2026-01-01T00:00:00Z", "paid": 1, "visits": 1, "fee": 1}]});
    let elsewhere = ingestion
        .send(
            "/v1/rows/visitor.spending",
            json_type,
            Some("k1"),
            elsewhere.to_string(),
        )
        .await;
    assert_eq!(elsewhere.status, 202, "a key belongs to its group");

    let rejected = json!({"rows": [{}]}).to_string();
    let refused = ingestion.send(path, json_type, Some("k2"), rejected).await;
    assert_eq!(refused.status, 422);
    let mended = ingestion.send(path, json_type, Some("k2"), body.clone()).await;
    assert_eq!(mended.status, 202, "a refused request uses no key up: {}", mended.body);

    ingestion
        .clock
        .advance(forebay_model::Duration::from_micros(86_400_000_001));
    let next_day = ingestion.send(path, json_type, Some("k1"), body).await;
    assert!(next_day.status == 202 && !next_day.headers.contains_key("idempotent-replayed"));
    assert_eq!(ingestion.logged("visitor.profile").await.len(), 3);
}

#[tokio::test]
async fn an_attempt_after_a_lost_answer_appends_the_same_rows_under_the_same_identity() {
    let ingestion = Ingestion::start().await;
    let body = json!({"rows": [{"visitor_id": "v1", "city": null, "taste": null}]}).to_string();
    let path = "/v1/rows/visitor.profile?event_time=now";
    let first = ingestion.send(path, "application/json", Some("k1"), body.clone()).await;
    assert_eq!(first.status, 202);
    // As if the process had died before it stored the answer: the claim is there and no answer is.
    let key = ClaimKey {
        scope: "rows/visitor.profile".into(),
        key: "k2".into(),
    };
    let claim = claim_of(&ingestion, &key, &body).await;
    let claims = &ingestion.state.deps.claims;
    claims.expire(Timestamp::MAX, 100).await.unwrap();
    claims.claim(&key, &claim, Timestamp::MIN).await.unwrap();
    ingestion.clock.advance(forebay_model::Duration::from_micros(5_000_000));
    let again = ingestion.send(path, "application/json", Some("k2"), body).await;
    assert_eq!(again.status, 202, "{}", again.body);
    let rows = ingestion.logged("visitor.profile").await;
    let row = rows.last().unwrap();
    let head = RowHead::read(&row.row).unwrap();
    assert_eq!((row.batch, row.index), (claim.batch, 0));
    // The moment stays that of the first attempt; the row is taken in only now, since the group may have settled beyond it.
    assert_eq!(
        (head.event_time, head.ingest_time),
        (claim.ingest_time, ingestion.clock.now())
    );
}

/// What the service makes of the body: it is asked by sending it under the key.
/// The claim of a request that was answered.
async fn claim_of(ingestion: &Ingestion, key: &ClaimKey, body: &str) -> forebay_storage::Claim {
    let path = "/v1/rows/visitor.profile?event_time=now";
    let answer = ingestion
        .send(path, "application/json", Some(&key.key), body.to_owned())
        .await;
    assert_eq!(answer.status, 202);
    let probe = forebay_storage::Claim {
        body_hash: 0,
        batch: forebay_storage::BatchId(uuid::Uuid::nil()),
        ingest_time: ingestion.clock.now(),
    };
    match ingestion
        .state
        .deps
        .claims
        .claim(key, &probe, Timestamp::MIN)
        .await
        .unwrap()
    {
        forebay_storage::ClaimOutcome::Answered(claim, _) => claim,
        other => panic!("not answered: {other:?}"),
    }
}

#[tokio::test]
async fn waiting_ends_when_the_stores_hold_the_rows_and_receipts_tell() {
    let ingestion = Ingestion::start().await;
    let topic = Topic::of(&ingestion.schema("visitor.profile"));
    let positions = ingestion.state.positions.clone();
    let rows = json!([profile("v1", "2026-01-01T00:00:00Z")]);
    let answer = ingestion
        .rows(
            "/v1/rows/visitor.profile?wait=online,offline&timeout=50ms",
            rows.clone(),
        )
        .await;
    assert_eq!(answer.status, 202);
    let receipt = answer.body["receipt"].as_str().unwrap().to_owned();
    let told = async || {
        let response = ingestion
            .http
            .get(ingestion.server.url(&format!("/v1/receipts/{receipt}")))
            .send()
            .await
            .unwrap();
        let body: Json = response.json().await.unwrap();
        assert_eq!(
            (&body["group"], &body["accepted"]),
            (&json!("visitor.profile"), &json!(1))
        );
        (body["online"].as_bool(), body["offline"].as_bool())
    };
    assert_eq!(told().await, (Some(false), Some(false)));
    positions.advance(Store::Online, topic, 0, 1);
    assert_eq!(told().await, (Some(true), Some(false)));
    positions.advance(Store::Offline, topic, 0, 1);
    assert_eq!(told().await, (Some(true), Some(true)));

    let (answer, ()) = tokio::join!(
        ingestion.rows("/v1/rows/visitor.profile?wait=online,offline", rows),
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            positions.advance(Store::Online, topic, 0, 2);
            positions.advance(Store::Offline, topic, 0, 2);
        }
    );
    assert_eq!(answer.status, 200);

    for wrong in ["x", "AAAA", &receipt[1..]] {
        let response = ingestion
            .http
            .get(ingestion.server.url(&format!("/v1/receipts/{wrong}")))
            .send()
            .await
            .unwrap();
        assert_eq!(Answer::of(response).await.problem(), (404, "not_found"));
    }
}

#[tokio::test]
async fn what_is_no_request_with_rows_is_refused() {
    let ingestion = Ingestion::with(IntakeConfig {
        max_rows: 2,
        max_body_bytes: 100_000,
        ..IntakeConfig::default()
    })
    .await;
    let deep = format!(
        "{{\"rows\": [{{\"city\": {}1{}}}]}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let json_type = "application/json";
    let bodies = [
        ("", (400, "not_parseable")),
        ("{\"rows\": [", (400, "not_parseable")),
        ("{\"rows\": [{}]} x", (400, "not_parseable")),
        (&deep, (400, "not_parseable")),
        ("[]", (422, "wrong_type")),
        ("{}", (422, "missing_field")),
        ("{\"rows\": {}}", (422, "wrong_type")),
        ("{\"rows\": [], \"rows\": []}", (400, "duplicate_key")),
        ("{\"rows\": [], \"wait\": 1}", (422, "unknown_field")),
        ("{\"rows\": [{}, {}, {}]}", (422, "over_limit")),
        ("{\"rows\": [{}]}", (422, "rejected_rows")),
    ];
    for (body, expected) in bodies {
        let answer = ingestion
            .send("/v1/rows/visitor.profile", json_type, None, body.to_owned())
            .await;
        assert_eq!(answer.problem(), expected, "{body}: {}", answer.body);
    }
    let answer = ingestion
        .send(
            "/v1/rows/visitor.profile",
            json_type,
            None,
            b"{\"rows\": [\"\xff\"]}".to_vec(),
        )
        .await;
    assert_eq!(answer.problem(), (400, "invalid_utf8"));
    let answer = ingestion
        .send("/v1/rows/visitor.profile", json_type, None, vec![b' '; 200_000])
        .await;
    assert_eq!(answer.problem(), (413, "body_too_large"));
    let answer = ingestion.send("/v1/rows/visitor.profile", "text/csv", None, "a").await;
    assert_eq!(answer.problem(), (415, "unsupported_media_type"));
    let paths = [
        ("/v1/rows/visitor.nobody", (404, "not_found")),
        ("/v1/rows/visitor", (404, "not_found")),
        ("/v1/rows/visitor.sums", (409, "computed_group")),
        ("/v1/rows/visitor.labels", (409, "computed_group")),
        ("/v1/rows/visitor.profile?missing=zero", (422, "invalid_parameter")),
        ("/v1/rows/visitor.profile?event_time=then", (422, "invalid_parameter")),
        ("/v1/rows/visitor.profile?on_invalid=ignore", (422, "invalid_parameter")),
        ("/v1/rows/visitor.profile?wait=both", (422, "invalid_parameter")),
        ("/v1/rows/visitor.profile?timeout=soon", (422, "invalid_parameter")),
        ("/v1/rows/visitor.profile?wit=online", (422, "unknown_parameter")),
        ("/v1/rows/visitor.spending?wait=offline", (422, "invalid_parameter")),
    ];
    for (path, expected) in paths {
        let answer = ingestion.rows(path, json!([])).await;
        assert_eq!(answer.problem(), expected, "{path}: {}", answer.body);
    }
    let nothing = ingestion.rows("/v1/rows/visitor.profile?wait=online", json!([])).await;
    assert_eq!((nothing.status, &nothing.body["accepted"]), (200, &json!(0)));
    let group = ingestion.state.deps.catalog.current();
    group
        .group(&"visitor.profile".parse().unwrap())
        .unwrap()
        .readiness
        .set(forebay_catalog::Ready::Pending);
    let answer = ingestion.rows("/v1/rows/visitor.profile", json!([])).await;
    assert_eq!(answer.problem(), (503, "not_ready"));
}

#[tokio::test]
async fn more_than_fits_in_memory_is_told_to_come_back() {
    let ingestion = Ingestion::with(IntakeConfig {
        memory_bytes: 4 << 10,
        ..IntakeConfig::default()
    })
    .await;
    let many: Vec<_> = (0..200)
        .map(|index| profile(&format!("v{index}"), "2026-01-01T00:00:00Z"))
        .collect();
    let answer = ingestion.rows("/v1/rows/visitor.profile", json!(many)).await;
    assert_eq!(answer.problem(), (429, "full"));
    assert_eq!(answer.headers["retry-after"], "1");
    let few = ingestion.rows("/v1/rows/visitor.profile", json!(many[..2])).await;
    assert_eq!(
        few.status, 202,
        "what a refused request held is free again: {}",
        few.body
    );
}

#[tokio::test]
async fn online_rows_are_made_anew_on_request() {
    let ingestion = Ingestion::start().await;
    let topic = Topic::of(&ingestion.schema("visitor.labels"));
    let followed = ingestion.state.followed.clone();
    let told = async |group: &str| {
        let url = ingestion.server.url(&format!("/v1/imports/{group}"));
        Answer::of(ingestion.http.get(url).send().await.unwrap()).await
    };
    assert_eq!(told("visitor.labels").await.body["state"], "waiting");
    let name = "visitor.labels".parse().unwrap();
    followed.set(topic, &name, FollowerState::Stopped { version: 3 });
    let stopped = told("visitor.labels").await.body;
    assert_eq!((&stopped["state"], &stopped["version"]), (&json!("stopped"), &json!(3)));
    let online = ingestion.state.deps.online.clone();
    assert_eq!(rebuild_to_do(&*online, topic).await.unwrap(), None);

    let ask = async |body: Json| {
        ingestion
            .send("/v1/imports", "application/json", None, body.to_string())
            .await
    };
    let asked = ask(json!({"group": "visitor.labels"})).await;
    assert_eq!((asked.status, &asked.body["state"]), (202, &json!("rebuilding")));
    assert!(
        rebuild_to_do(&*online, topic).await.unwrap().is_some(),
        "the follower is told, wherever it runs"
    );
    followed.forget(topic);
    assert_eq!(told("visitor.labels").await.body["state"], "rebuilding");

    assert_eq!(
        ask(json!({"group": "visitor.profile"})).await.problem(),
        (409, "conflict")
    );
    assert_eq!(
        ask(json!({"group": "visitor.nobody"})).await.problem(),
        (422, "unknown_group")
    );
    for unknown in ["visitor.profile", "visitor.nobody", "nonsense"] {
        assert_eq!(told(unknown).await.problem(), (404, "not_found"), "{unknown}");
    }
}

/// A record of `visitor.profile` as its sink sets it aside.
fn set_aside(ingestion: &Ingestion, offset: u64, code: &str, value: Vec<u8>) -> Rejected {
    Rejected {
        group: "visitor.profile".parse().unwrap(),
        topic: Topic::of(&ingestion.schema("visitor.profile")),
        partition: 2,
        record: UnreadableRecord {
            offset,
            code: code.to_owned(),
            detail: "it does not fit".to_owned(),
            key: Some("v1".into()),
            value: value.into(),
        },
        rejected_at: ingestion.clock.now(),
    }
}

#[tokio::test]
async fn rejected_records_are_listed_mended_and_replayed_once() {
    let ingestion = Ingestion::start().await;
    let sent = ingestion
        .rows(
            "/v1/rows/visitor.profile",
            json!([profile("v1", "2026-01-01T00:00:00Z")]),
        )
        .await;
    assert_eq!(sent.status, 202);
    // The record that a producer would send for this row.
    let schema = ingestion.schema("visitor.profile");
    let layouts = Layouts::new(schema.clone());
    let row = &ingestion.logged("visitor.profile").await[0];
    let mut good = Vec::new();
    avro::write_wire_head(&mut good, avro::schema_id(schema.id, schema.layout).unwrap());
    let view = layouts.open(&row.row).unwrap();
    avro::AvroEncoder::new(layouts.clone())
        .encode(&row.key, &view, &mut good)
        .unwrap();
    let records = vec![
        set_aside(&ingestion, 7, "undecodable", vec![0, 0, 0, 0, 1, 2]),
        set_aside(&ingestion, 9, "unknown_schema", good),
        Rejected {
            group: "visitor.spending".parse().unwrap(),
            ..set_aside(&ingestion, 1, "undecodable", Vec::new())
        },
    ];
    ingestion.rejected.append(records).await.unwrap();

    let get = async |path: &str| Answer::of(ingestion.http.get(ingestion.server.url(path)).send().await.unwrap()).await;
    let page = get("/v1/rejected?page_size=2").await.body;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert!(page["items"][0].get("value").is_none(), "{page}");
    let token = page["next_page_token"].as_str().unwrap();
    let rest = get(&format!("/v1/rejected?page_size=2&page_token={token}")).await.body;
    assert_eq!(rest["items"][0]["group"], "visitor.spending");
    assert!(rest.get("next_page_token").is_none());
    let of_group = get("/v1/rejected?group=visitor.profile").await.body;
    let ids: Vec<&str> = of_group["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["0-0", "0-1"]);
    let one = get("/v1/rejected/0-0").await.body;
    assert_eq!(
        (&one["code"], &one["offset"], &one["partition"], &one["value"]),
        (&json!("undecodable"), &json!(7), &json!(2), &json!("AAAAAAEC"))
    );
    for (path, problem) in [
        ("/v1/rejected/0-9", (404, "not_found")),
        ("/v1/rejected/nonsense", (404, "not_found")),
        ("/v1/rejected?page_size=0", (422, "invalid_parameter")),
        ("/v1/rejected?page_token=x", (422, "invalid_page_token")),
        ("/v1/rejected?group=x", (422, "invalid_parameter")),
    ] {
        assert_eq!(get(path).await.problem(), problem, "{path}");
    }

    let replay = async |id: &str, body: &str| {
        let path = format!("/v1/rejected/{id}/replay");
        ingestion.send(&path, "application/json", None, body.to_owned()).await
    };
    let as_it_is = replay("0-1", "").await;
    assert_eq!(as_it_is.status, 202, "{}", as_it_is.body);
    assert_eq!(ingestion.logged("visitor.profile").await.len(), 2);
    let again = replay("0-1", "").await;
    assert_eq!((again.status, &again.body), (202, &as_it_is.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(ingestion.logged("visitor.profile").await.len(), 2, "it adds nothing");
    let values = ingestion.values("visitor.profile").await;
    assert_eq!(values[0], values[1]);

    assert_eq!(replay("0-0", "").await.problem(), (422, "rejected_rows"));
    let mended = json!({"rows": [profile("v2", "2026-01-02T00:00:00Z")]}).to_string();
    let two =
        json!({"rows": [profile("v2", "2026-01-02T00:00:00Z"), profile("v3", "2026-01-02T00:00:00Z")]}).to_string();
    assert_eq!(replay("0-0", &two).await.problem(), (422, "invalid_value"));
    assert_eq!(replay("0-0", &mended).await.status, 202);
    assert_eq!(replay("0-0", &mended).await.status, 202);
    let other = json!({"rows": [profile("v4", "2026-01-02T00:00:00Z")]}).to_string();
    assert_eq!(replay("0-0", &other).await.problem(), (422, "idempotency_key_reused"));
    assert_eq!(ingestion.logged("visitor.profile").await.len(), 3);
}

#[test]
fn the_document_is_up_to_date() {
    forebay_server::assert_checked_in("ingestion", &crate::openapi());
}
