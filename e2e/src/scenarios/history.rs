//! The answer then: every way to name a spine, every form of the answer.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::ipc::reader::StreamReader;
use forebay_api::Code;
use serde_json::{Value, json};

use crate::files;
use crate::stage::{Stage, column};
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
kind: Entity
name: DOMAIN_user
domain: DOMAIN
keys: [{name: user_id, type: string}]
---
kind: FeatureGroup
name: DOMAIN.facts
entities: [DOMAIN_item]
features: [{name: price, type: float64}]
---
kind: FeatureGroup
name: DOMAIN.short
entities: [DOMAIN_item]
ttl: 1d
features: [{name: views, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.profile
entities: [DOMAIN_user]
features: [{name: city, type: string}]
---
kind: FeatureView
name: DOMAIN_model
domain: DOMAIN
features: [{feature: DOMAIN.facts.price, as: price}, {feature: DOMAIN.profile.city, as: buyer_city, keys: {user_id: buyer_id}}]
request: [{name: offer, type: float64}]
expressions: [{name: offer_ratio, type: float64, sql: offer / price}]
";

/// Midnight of a day of January 2026.
fn day(day: u32) -> String {
    format!("2026-01-{day:02}T00:00:00Z")
}

pub async fn plays(stage: &Stage) {
    stage.apply(BUNDLE).await;
    let price = |item: i64, on: u32, price: Value| json!({"item_id": item, "event_time": day(on), "price": price});
    stage
        .push(
            "facts",
            &[
                price(1, 1, json!(10.0)),
                price(1, 5, json!(15.0)),
                price(2, 3, json!(null)),
            ],
        )
        .await;
    stage
        .push(
            "facts",
            &[json!({"item_id": 2, "event_time": day(6), "_deleted": true})],
        )
        .await;
    stage
        .push("short", &[json!({"item_id": 1, "event_time": day(2), "views": 7})])
        .await;
    stage
        .push(
            "profile",
            &[json!({"user_id": "u1", "event_time": day(1), "city": "Recife"})],
        )
        .await;
    let before_correction = text(times::now());
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    stage.push("facts", &[price(1, 1, json!(11.0))]).await;

    the_spine_keeps_its_rows(stage).await;
    as_it_was_known(stage, &before_correction).await;
    a_view_takes_its_request_features_from_the_spine(stage).await;
    uploads(stage).await;
    periods_and_moments(stage).await;
    forms(stage).await;
    refusals(stage).await;
}

async fn query(stage: &Stage, body: Value) -> Value {
    stage.http.post("/v1/historical-features", &body).await.expect(200)
}

async fn the_spine_keeps_its_rows(stage: &Stage) {
    let answer = query(stage, json!({
        "features": [stage.group("facts.price"), stage.group("short.views")],
        "spine": {"columns": {
            "item_id": [2, 1, 1, null, 1, 9, 2, 1],
            // The second and fifth are one row twice; the last two are the ends of the ttl, inclusive; naive is UTC.
            "event_time": [day(4), day(5), "2026-01-04T23:59:59.999999Z", day(5), day(5), day(5), "2026-01-06T00:00:00", day(3)],
            "label": [0, 1, 2, 3, 4, 5, 6, 7],
        }},
        "include": ["values", "statuses", "event_timestamps"],
    }))
    .await;
    let names: Vec<_> = answer["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .filter_map(|column| column["name"].as_str())
        .collect();
    assert_eq!(
        names[..3].iter().collect::<std::collections::BTreeSet<_>>(),
        ["event_time", "item_id", "label"].iter().collect(),
        "first the spine's columns"
    );
    assert_eq!(names[3], stage.group("facts.price"), "then the features as asked");
    let price = stage.group("facts.price");
    assert_eq!(
        column(&answer, "label"),
        json!([0, 1, 2, 3, 4, 5, 6, 7]).as_array().expect("an array"),
        "rows out are rows in, in their order"
    );
    assert_eq!(
        json!(column(&answer, &price)),
        json!([null, 15.0, 11.0, null, 15.0, null, null, 11.0])
    );
    let statuses = column(&answer, &format!("{price}__status"));
    assert_eq!(
        json!(statuses),
        json!([
            "NULL_VALUE",
            "PRESENT",
            "PRESENT",
            "NOT_FOUND",
            "PRESENT",
            "NOT_FOUND",
            "NOT_FOUND",
            "PRESENT"
        ])
    );
    assert_eq!(column(&answer, &format!("{price}__event_timestamp"))[1], day(5));
    let views = stage.group("short.views");
    assert_eq!(column(&answer, &views)[7], 7, "exactly a ttl old is visible");
    assert_eq!(column(&answer, &format!("{views}__status"))[1], "OUTSIDE_MAX_AGE");
}

async fn as_it_was_known(stage: &Stage, before: &str) {
    let price = stage.group("facts.price");
    let spine =
        json!({"columns": {"item_id": [1, 1], "event_time": [day(2), day(2)], "known": [before, text(times::now())]}});
    let now = query(stage, json!({"features": [price], "spine": spine})).await;
    assert_eq!(json!(column(&now, &price)), json!([11.0, 11.0]));
    let then = query(stage, json!({"features": [price], "spine": spine, "known_at": before})).await;
    assert_eq!(json!(column(&then, &price)), json!([10.0, 10.0]));
    let each = query(
        stage,
        json!({"features": [price], "spine": spine, "known_at_column": "known"}),
    )
    .await;
    assert_eq!(json!(column(&each, &price)), json!([10.0, 11.0]));
    let fresh = query(stage, json!({"features": [price], "spine": spine, "max_age": "12h"})).await;
    assert_eq!(json!(column(&fresh, &price)), json!([null, null]));
}

async fn a_view_takes_its_request_features_from_the_spine(stage: &Stage) {
    let answer = query(stage, json!({
        "view": format!("{}_model", stage.domain),
        "spine": {"columns": {"item_id": [1, 2], "buyer_id": ["u1", "u2"], "sold_at": [day(5), day(5)], "offer": [30.0, 30.0]}, "event_time": "sold_at"},
    }))
    .await;
    assert_eq!(json!(column(&answer, "price")), json!([15.0, null]));
    assert_eq!(json!(column(&answer, "buyer_city")), json!(["Recife", null]));
    assert_eq!(json!(column(&answer, "offer_ratio")), json!([2.0, null]));
}

async fn uploads(stage: &Stage) {
    let noon = 1_767_614_400_000_000; // 2026-01-05T12:00:00Z
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("item_id", Arc::new(Int64Array::from(vec![1, 2])) as _, true),
        (
            "event_time",
            Arc::new(TimestampMicrosecondArray::from(vec![noon, noon]).with_timezone("UTC")) as _,
            true,
        ),
        ("weight", Arc::new(Float64Array::from(vec![0.5, 0.25])) as _, true),
    ])
    .expect("columns of one length");
    let csv = b"item_id,event_time,weight\n1,2026-01-05T12:00:00Z,0.5\n2,2026-01-05T12:00:00Z,0.25\n".to_vec();
    let mut arrow = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a schema");
    arrow.write(&batch).expect("memory takes it");
    let arrow = arrow.into_inner().expect("memory takes it");
    let bodies = [
        ("application/vnd.apache.parquet", files::parquet(&batch)),
        ("application/vnd.apache.arrow.stream", arrow),
        ("text/csv", csv),
    ];
    let price = stage.group("facts.price");
    for (kind, body) in bodies {
        let upload = stage
            .http
            .send("POST", "/v1/spines", &[("content-type", kind)], body.clone())
            .await
            .ok();
        assert_eq!(upload["rows"], 2, "{upload}");
        assert!(upload["expires_at"].is_string(), "{upload}");
        let answer = query(stage, json!({"features": [price], "spine": {"id": upload["id"]}})).await;
        assert_eq!(json!(column(&answer, &price)), json!([15.0, null]), "{kind}");
        assert_eq!(json!(column(&answer, "weight")), json!([0.5, 0.25]));
    }
    // The same by the path of a file in the lake.
    let path = format!("{}/spine.parquet", stage.domain);
    stage.lake.put(&path, files::parquet(&batch)).await;
    let answer = query(stage, json!({"features": [price], "spine": {"uri": path}})).await;
    assert_eq!(json!(column(&answer, &price)), json!([15.0, null]));
}

async fn periods_and_moments(stage: &Stage) {
    let price = stage.group("facts.price");
    let views = stage.group("short.views");
    let answer = query(
        stage,
        json!({"features": [price, views], "period": {"start": day(1), "end": day(6)}}),
    )
    .await;
    assert_eq!(
        json!(column(&answer, "item_id")),
        json!([1, 1, 1, 2]),
        "sorted by key and time; the end is exclusive"
    );
    assert_eq!(json!(column(&answer, &price)), json!([11.0, 11.0, 15.0, null]));
    assert_eq!(json!(column(&answer, &views)), json!([null, 7, null, null]));
    let answer = query(
        stage,
        json!({"features": [price], "period": {"start": day(2)}, "entities": {"item_id": [1]}}),
    )
    .await;
    assert_eq!(json!(column(&answer, &price)), json!([15.0]));
    let answer = query(stage, json!({"features": [price], "at": day(4)})).await;
    assert_eq!(
        json!(column(&answer, "item_id")),
        json!([1, 2]),
        "one row per key with a visible row"
    );
    assert_eq!(json!(column(&answer, &price)), json!([11.0, null]));
    let answer = query(stage, json!({"features": [price], "at": day(7)})).await;
    assert_eq!(
        json!(column(&answer, "item_id")),
        json!([1]),
        "the other is deleted by then"
    );
}

async fn forms(stage: &Stage) {
    let price = stage.group("facts.price");
    let body = json!({"features": [price], "spine": {"columns": {"item_id": [1, 2], "event_time": [day(5), day(5)]}}})
        .to_string();
    let ask = async |kind: &str| {
        let headers = [("content-type", "application/json"), ("accept", kind)];
        let answer = stage
            .http
            .send("POST", "/v1/historical-features", &headers, body.clone().into_bytes())
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(
            answer.header("content-type").starts_with(kind),
            "{}",
            answer.header("content-type")
        );
        answer.body
    };
    let csv = String::from_utf8(ask("text/csv").await).expect("text");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.lines().next().is_some_and(|head| head.contains(&price)), "{csv}");
    let arrow = ask("application/vnd.apache.arrow.stream").await;
    let rows: usize = StreamReader::try_new(arrow.as_slice(), None)
        .expect("a stream")
        .map(|batch| batch.expect("a batch").num_rows())
        .sum();
    assert_eq!(rows, 2);
    let parquet = ask("application/vnd.apache.parquet").await;
    assert_eq!(
        (&parquet[..4], &parquet[parquet.len() - 4..]),
        (&b"PAR1"[..], &b"PAR1"[..])
    );
}

async fn refusals(stage: &Stage) {
    let ask = async |body: Value| stage.http.post("/v1/historical-features", &body).await;
    let (price, city) = (stage.group("facts.price"), stage.group("profile.city"));
    ask(json!({"features": [price, city], "period": {}}))
        .await
        .problem(Code::MixedKeys);
    ask(json!({"features": [price], "spine": {"uri": "../../etc/passwd"}}))
        .await
        .problem(Code::LocationNotAllowed);
    ask(json!({"features": [price], "spine": {"uri": "file:///etc/passwd"}}))
        .await
        .problem(Code::LocationNotAllowed);
    ask(json!({"features": [price], "period": {}, "at": day(1)}))
        .await
        .problem(Code::InvalidCombination);
    let problem = ask(json!({"features": [stage.group("facts.prise")], "at": day(1)}))
        .await
        .problem(Code::UnknownFeature);
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.contains(&price)),
        "the nearest name: {problem}"
    );
}
