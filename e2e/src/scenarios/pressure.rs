//! What an installation answers that is full, late or broken: each from a server that is started to be so.

use std::path::Path;

use forebay_api::Code;
use serde_json::json;

use super::errors::Seen;
use crate::lake::Lake;
use crate::process::Launch;
use crate::stage::Stage;

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
features: [{name: price, type: float64}]
";

/// All codes that only such servers answer.
pub async fn plays(data_dir: &Path) -> Seen {
    let mut seen = Seen::default();
    let launch = Launch::new(data_dir);
    let process = launch.start().await;
    let mut stage = Stage::new(process.http.clone(), Lake::folder(data_dir.join("lake")));
    stage.apply(BUNDLE).await;
    not_ready(&stage, &mut seen).await;
    one_key_at_once(&stage, &mut seen).await;
    let row = json!({"item_id": 1, "event_time": "2026-01-02T00:00:00Z", "price": 1.0});
    stage.push("facts", std::slice::from_ref(&row)).await;
    let rows = json!({"rows": [row]});
    let path = format!("/v1/rows/{}", stage.group("facts"));
    let history = json!({"features": [stage.group("facts.price")], "at": "2026-02-01T00:00:00Z"});
    assert!(process.terminate());

    let process = launch
        .clone()
        .setting("FOREBAY_INGESTION__MAX_BODY_BYTES", "20")
        .start()
        .await;
    let answer = process.http.post(&path, &rows).await;
    seen.note(&answer, Code::BodyTooLarge);
    assert!(process.terminate());

    let process = launch
        .clone()
        .setting("FOREBAY_INGESTION__MEMORY_BYTES", "20")
        .start()
        .await;
    let answer = process.http.post(&path, &rows).await;
    seen.note(&answer, Code::Full);
    assert!(!answer.header("retry-after").is_empty(), "{}", answer.text());
    assert!(process.terminate());

    let process = launch
        .clone()
        .setting("FOREBAY_SERVER__MAX_REQUESTS", "1")
        .start()
        .await;
    stage.http = process.http.clone();
    overloaded(&stage, &mut seen).await;
    assert!(process.terminate());

    let process = launch
        .clone()
        .setting("FOREBAY_OFFLINE_QUERY__DEADLINE_SECONDS", "0")
        .start()
        .await;
    seen.note(
        &process.http.post("/v1/historical-features", &history).await,
        Code::DeadlineExceeded,
    );
    assert!(process.terminate());

    // The group's table is gone, and what stands in its place is none.
    let process = launch.start().await;
    let table = stage.lake.as_folder().join(stage.table("facts"));
    std::fs::remove_dir_all(&table).expect("the table was there");
    std::fs::write(&table, b"no table").expect("the lake takes it");
    seen.note(
        &process.http.post("/v1/historical-features", &history).await,
        Code::Unavailable,
    );
    seen
}

/// A group whose table cannot be made is registered and answers that it is not ready.
async fn not_ready(stage: &Stage, seen: &mut Seen) {
    let table = stage.lake.as_folder().join(stage.table("blocked"));
    stage.lake.put(&stage.table("blocked"), b"no table".to_vec()).await;
    stage
        .apply("kind: FeatureGroup\nname: DOMAIN.blocked\nentities: [DOMAIN_item]\nfeatures: [{name: price, type: float64}]\n")
        .await;
    let row = json!({"item_id": 1, "event_time": "2026-01-02T00:00:00Z", "price": 1.0});
    let path = format!("/v1/rows/{}", stage.group("blocked"));
    seen.note(&stage.http.post(&path, &json!({"rows": [row]})).await, Code::NotReady);
    std::fs::remove_file(table).expect("it was there");
    crate::stage::eventually(
        std::time::Duration::from_secs(60),
        "the group is ready once its table can be made",
        async || {
            let answer = stage.http.post(&path, &json!({"rows": [row]})).await;
            if answer.status == 202 {
                Ok(())
            } else {
                Err(answer.text())
            }
        },
    )
    .await;
}

/// Of two requests with one key at once, the later is told so, or answered as the first.
async fn one_key_at_once(stage: &Stage, seen: &mut Seen) {
    let path = format!("/v1/rows/{}?wait=online", stage.group("facts"));
    let rows: Vec<_> = (0..5000)
        .map(|id| json!({"item_id": id, "event_time": "2026-01-01T00:00:00Z", "price": 1.0}))
        .collect();
    let body = json!({"rows": rows});
    for round in 0..20 {
        let key = format!("{}-at-once-{round}", stage.domain);
        let headers = [("idempotency-key", key.as_str())];
        let (a, b) = tokio::join!(
            stage.http.post_with(&path, &headers, &body),
            stage.http.post_with(&path, &headers, &body)
        );
        let refused: Vec<_> = [&a, &b].into_iter().filter(|answer| answer.status == 409).collect();
        assert!(refused.len() < 2, "one of them is the first");
        if let Some(answer) = refused.first() {
            seen.note(answer, Code::IdempotencyKeyInUse);
            return;
        }
    }
    panic!("twenty pairs of requests with one key never met");
}

/// More requests at once than the server takes.
async fn overloaded(stage: &Stage, seen: &mut Seen) {
    let path = format!("/v1/rows/{}?wait=online,offline", stage.group("facts"));
    let rows = json!({"rows": [{"item_id": 1, "event_time": "2026-01-02T00:00:00Z", "price": 1.0}]});
    for _ in 0..20 {
        let (a, b, c) = tokio::join!(
            stage.http.post(&path, &rows),
            stage.http.post(&path, &rows),
            stage.http.post(&path, &rows)
        );
        if let Some(answer) = [&a, &b, &c].into_iter().find(|answer| answer.status == 503) {
            seen.note(answer, Code::Overloaded);
            return;
        }
    }
    panic!("sixty requests at once were all taken");
}
