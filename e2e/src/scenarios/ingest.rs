//! The way in: formats, validation row by row, receipts, repeats, stores.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::ipc::writer::StreamWriter;
use forebay_api::Code;
use serde_json::{Value, json};

use crate::stage::{Stage, column, eventually};
use crate::times::{self, text};

const BUNDLE: &str = "
kind: Domain
name: DOMAIN
---
kind: Entity
name: DOMAIN_item
domain: DOMAIN
keys: [{name: item_id, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.facts
entities: [DOMAIN_item]
features:
  - {name: score, type: float64, checks: {min: 0, max: 100, on_fail: reject}}
  - {name: label, type: string}
---
kind: FeatureGroup
name: DOMAIN.forgiving
entities: [DOMAIN_item]
features: [{name: score, type: float64, checks: {min: 0, on_fail: 'null'}}]
---
kind: FeatureGroup
name: DOMAIN.now_only
entities: [DOMAIN_item]
stores: [online]
features: [{name: score, type: float64}]
---
kind: FeatureGroup
name: DOMAIN.past_only
entities: [DOMAIN_item]
stores: [offline]
features: [{name: score, type: float64}]
";

const AT: &str = "2026-01-02T03:04:05.000006Z";

pub async fn plays(stage: &Stage) {
    stage.apply(BUNDLE).await;
    every_format_is_taken(stage).await;
    one_bad_row_spoils_the_request_unless_skipped(stage).await;
    missing_features_and_times(stage).await;
    checks_reject_or_null(stage).await;
    a_repeat_adds_nothing(stage).await;
    receipts_tell(stage).await;
    rows_win_by_time_and_then_by_order(stage).await;
    each_store_alone(stage).await;
}

fn path(stage: &Stage, group: &str, query: &str) -> String {
    format!("/v1/rows/{}{query}", stage.group(group))
}

async fn scores(stage: &Stage, group: &str, ids: Value) -> Value {
    let answer = stage
        .online(&[stage.group(&format!("{group}.score"))], json!({"item_id": ids}))
        .await;
    answer["results"][1].clone()
}

async fn every_format_is_taken(stage: &Stage) {
    let wait = "?wait=online,offline&timeout=60s";
    let lines = format!(
        "{}\n{}\n",
        json!({"item_id": 1, "event_time": AT, "score": 1.0, "label": "ndjson"}),
        json!({"item_id": 2, "event_time": AT, "score": 2.0, "label": null})
    );
    let answer = stage
        .http
        .send(
            "POST",
            &path(stage, "facts", wait),
            &[("content-type", "application/x-ndjson")],
            lines.into_bytes(),
        )
        .await
        .expect(200);
    assert_eq!(
        (&answer["accepted"], &answer["rejected_count"], &answer["rejected"]),
        (&json!(2), &json!(0), &json!([])),
        "{answer}"
    );

    let batch = |id: i64, score: f64| {
        RecordBatch::try_from_iter_with_nullable([
            ("item_id", Arc::new(Int64Array::from(vec![id])) as _, true),
            (
                "event_time",
                Arc::new(TimestampMicrosecondArray::from(vec![1_767_323_045_000_006]).with_timezone("UTC")) as _,
                true,
            ),
            ("score", Arc::new(Float64Array::from(vec![score])) as _, true),
            ("label", Arc::new(StringArray::from(vec![Some("")])) as _, true),
        ])
        .expect("columns of one length")
    };
    let arrow = batch(3, 3.0);
    let mut stream = StreamWriter::try_new(Vec::new(), &arrow.schema()).expect("a schema");
    stream.write(&arrow).expect("memory takes it");
    let body = stream.into_inner().expect("memory takes it");
    stage
        .http
        .send(
            "POST",
            &path(stage, "facts", wait),
            &[("content-type", "application/vnd.apache.arrow.stream")],
            body,
        )
        .await
        .expect(200);

    let parquet = crate::files::parquet(&batch(4, 4.0));
    stage
        .http
        .send(
            "POST",
            &path(stage, "facts", wait),
            &[("content-type", "application/vnd.apache.parquet")],
            parquet,
        )
        .await
        .expect(200);

    let seen = scores(stage, "facts", json!([1, 2, 3, 4])).await;
    assert_eq!(seen["values"], json!([1.0, 2.0, 3.0, 4.0]));
    assert_eq!(seen["event_timestamps"], json!([AT, AT, AT, AT]));
    let spine = json!({"features": [stage.group("facts.score"), stage.group("facts.label")], "spine": {"columns": {"item_id": [1, 2, 3, 4], "event_time": [AT, AT, AT, AT]}}});
    let answer = stage.http.post("/v1/historical-features", &spine).await.expect(200);
    assert_eq!(
        column(&answer, &stage.group("facts.score")),
        &vec![json!(1.0), json!(2.0), json!(3.0), json!(4.0)]
    );
    assert_eq!(
        column(&answer, &stage.group("facts.label")),
        &vec![json!("ndjson"), json!(null), json!(""), json!("")]
    );
}

async fn one_bad_row_spoils_the_request_unless_skipped(stage: &Stage) {
    let rows = json!({"rows": [
        {"item_id": 10, "event_time": AT, "score": 1.0, "label": "good"},
        {"item_id": 11, "event_time": AT, "score": 1.0, "label": 5},
        {"item_id": null, "event_time": AT, "score": 1.0, "label": "x"},
        {"item_id": 13, "event_time": "2099-01-01T00:00:00Z", "score": 1.0, "label": "x"},
        {"item_id": 14, "event_time": AT, "score": 1.0},
        {"item_id": 15, "event_time": AT, "score": 1.0, "label": "x", "colour": "red"},
        {"item_id": 16, "score": 1.0, "label": "x"},
        {"item_id": 17, "event_time": AT, "score": 100.5, "label": "x"},
    ]});
    let expected = [
        (1, "label", "wrong_type"),
        (2, "item_id", "null_key"),
        (3, "event_time", "event_time_ahead"),
        (4, "label", "missing_feature"),
        (5, "colour", "unknown_field"),
        (6, "event_time", "missing_event_time"),
        (7, "score", "check_failed"),
    ];
    let check = |answer: &Value| {
        assert_eq!(answer["rejected_count"], expected.len(), "{answer}");
        for (place, (index, field, code)) in expected.iter().enumerate() {
            let row = &answer["rejected"][place];
            assert_eq!(
                (&row["index"], &row["field"], &row["code"]),
                (&json!(index), &json!(field), &json!(code)),
                "{answer}"
            );
        }
    };
    let problem = stage
        .http
        .post(&path(stage, "facts", ""), &rows)
        .await
        .problem(Code::RejectedRows);
    check(&problem);
    assert_eq!(
        scores(stage, "facts", json!([10])).await["statuses"],
        json!(["NOT_FOUND"]),
        "nothing is accepted"
    );

    let answer = stage
        .http
        .post(&path(stage, "facts", "?on_invalid=skip&wait=online"), &rows)
        .await
        .expect(200);
    assert_eq!(answer["accepted"], 1);
    check(&answer);
    assert_eq!(
        scores(stage, "facts", json!([10, 11])).await["statuses"],
        json!(["PRESENT", "NOT_FOUND"])
    );
}

async fn missing_features_and_times(stage: &Stage) {
    let rows = json!({"rows": [{"item_id": 20, "score": 1.0}, {"item_id": 21}]});
    stage
        .http
        .post(&path(stage, "facts", ""), &rows)
        .await
        .problem(Code::RejectedRows);
    let before = text(times::now());
    stage
        .http
        .post(&path(stage, "facts", "?missing=null&event_time=now&wait=online"), &rows)
        .await
        .expect(200);
    let after = text(times::now());
    let seen = scores(stage, "facts", json!([20, 21])).await;
    assert_eq!(seen["statuses"], json!(["PRESENT", "NULL_VALUE"]));
    let moments: Vec<_> = seen["event_timestamps"]
        .as_array()
        .expect("times")
        .iter()
        .map(|time| time.as_str().unwrap_or_default())
        .collect();
    assert_eq!(moments[0], moments[1], "one moment for the whole request");
    assert!(
        before.as_str() <= moments[0] && moments[0] <= after.as_str(),
        "{before} {moments:?} {after}"
    );
}

async fn checks_reject_or_null(stage: &Stage) {
    let rows = json!({"rows": [{"item_id": 1, "event_time": AT, "score": -1.0}]});
    stage
        .http
        .post(&path(stage, "forgiving", "?wait=online"), &rows)
        .await
        .expect(200);
    assert_eq!(
        scores(stage, "forgiving", json!([1])).await["statuses"],
        json!(["NULL_VALUE"])
    );
}

async fn a_repeat_adds_nothing(stage: &Stage) {
    let key = format!("{}-repeat", stage.domain);
    let headers = [("idempotency-key", key.as_str())];
    let rows = |score: f64| json!({"rows": [{"item_id": 30, "event_time": AT, "score": score, "label": "a"}]});
    let target = path(stage, "facts", "?wait=online,offline&timeout=60s");
    let first = stage.http.post_with(&target, &headers, &rows(1.0)).await.expect(200);
    // Another row of the same time comes later and wins; the repeat of the first must not win over it.
    stage.http.post(&target, &rows(2.0)).await.expect(200);
    let again = stage.http.post_with(&target, &headers, &rows(1.0)).await.expect(200);
    assert_eq!(first["receipt"], again["receipt"]);
    assert_eq!(scores(stage, "facts", json!([30])).await["values"], json!([2.0]));
    stage
        .http
        .post_with(&target, &headers, &rows(3.0))
        .await
        .problem(Code::IdempotencyKeyReused);
}

async fn receipts_tell(stage: &Stage) {
    let rows = json!({"rows": [{"item_id": 40, "event_time": AT, "score": 1.0, "label": "a"}]});
    let accepted = stage.http.post(&path(stage, "facts", ""), &rows).await.expect(202);
    let receipt = accepted["receipt"].as_str().expect("a receipt").to_owned();
    eventually(
        std::time::Duration::from_secs(60),
        "the receipt tells that both stores hold the rows",
        async || {
            let told = stage
                .http
                .get(&format!("/v1/receipts/{receipt}"))
                .await
                .expect(200)
                .to_string();
            let done = told.contains("\"online\":true") && told.contains("\"offline\":true");
            if done { Ok(()) } else { Err(told) }
        },
    )
    .await;
    stage
        .http
        .get("/v1/receipts/no-such-receipt")
        .await
        .problem(Code::NotFound);
}

async fn rows_win_by_time_and_then_by_order(stage: &Stage) {
    let row = |time: &str, score: f64| json!({"item_id": 50, "event_time": time, "score": score, "label": null});
    stage
        .push(
            "facts",
            &[row("2026-01-02T00:00:00Z", 1.0), row("2026-01-03T00:00:00Z", 2.0)],
        )
        .await;
    stage.push("facts", &[row("2026-01-01T00:00:00Z", 9.0)]).await;
    assert_eq!(
        scores(stage, "facts", json!([50])).await["values"],
        json!([2.0]),
        "a late row does not win"
    );
    stage
        .push(
            "facts",
            &[row("2026-01-03T00:00:00Z", 3.0), row("2026-01-03T00:00:00Z", 4.0)],
        )
        .await;
    assert_eq!(
        scores(stage, "facts", json!([50])).await["values"],
        json!([4.0]),
        "of equal times the last"
    );
    stage
        .push(
            "facts",
            &[json!({"item_id": 50, "event_time": "2026-01-04T00:00:00Z", "_deleted": true})],
        )
        .await;
    assert_eq!(
        scores(stage, "facts", json!([50])).await["statuses"],
        json!(["NOT_FOUND"])
    );
    stage.push("facts", &[row("2026-01-05T00:00:00Z", 5.0)]).await;
    assert_eq!(scores(stage, "facts", json!([50])).await["values"], json!([5.0]));

    let history = json!({"features": [stage.group("facts.score")], "period": {}, "entities": {"item_id": [50]}});
    let answer = stage.http.post("/v1/historical-features", &history).await.expect(200);
    assert_eq!(
        column(&answer, &stage.group("facts.score")),
        &vec![json!(9.0), json!(1.0), json!(4.0), json!(5.0)],
        "{answer}"
    );
}

async fn each_store_alone(stage: &Stage) {
    let rows = json!({"rows": [{"item_id": 1, "event_time": AT, "score": 1.0}]});
    stage
        .http
        .post(&path(stage, "now_only", "?wait=online"), &rows)
        .await
        .expect(200);
    assert_eq!(scores(stage, "now_only", json!([1])).await["values"], json!([1.0]));
    let spine = |group: &str| json!({"features": [stage.group(&format!("{group}.score"))], "spine": {"columns": {"item_id": [1], "event_time": [AT]}}});
    stage
        .http
        .post("/v1/historical-features", &spine("now_only"))
        .await
        .problem(Code::NoHistory);

    stage
        .http
        .post(&path(stage, "past_only", "?wait=offline&timeout=60s"), &rows)
        .await
        .expect(200);
    let answer = stage
        .http
        .post("/v1/historical-features", &spine("past_only"))
        .await
        .expect(200);
    assert_eq!(column(&answer, &stage.group("past_only.score")), &vec![json!(1.0)]);
    let body = json!({"features": [stage.group("past_only.score")], "entities": {"item_id": [1]}});
    stage
        .http
        .post("/v1/online-features", &body)
        .await
        .problem(Code::NotOnline);
}
