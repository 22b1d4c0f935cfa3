use std::time::Duration;

use reqwest::Result;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::ledger::{Ledger, Row};
use crate::http::Answer;
use crate::stage::Stage;

const PUSHERS: i64 = 3;

/// Three objects that every bundle changes, so that it shows when some are of another bundle.
const BUNDLE: &str = "
kind: Domain
name: DOMAIN
description: bundle NUMBER
---
kind: Entity
name: DOMAIN_item
domain: DOMAIN
description: bundle NUMBER
keys: [{name: item_id, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.facts
description: bundle NUMBER
entities: [DOMAIN_item]
features: [{name: price, type: float64}]
";

const COMPUTED: &str = "
kind: FeatureGroup
name: DOMAIN.double
entities: [DOMAIN_item]
features: [{name: price, type: float64}]
batch: {sql: 'SELECT item_id, event_time, price * 2 AS price FROM DOMAIN.facts'}
";

pub async fn define(stage: &Stage) {
    stage.apply(&BUNDLE.replace("NUMBER", "0")).await;
    stage.apply(COMPUTED).await;
}

/// Starts the callers. Each works until the server is gone.
pub fn start(stage: &Stage, ledger: &Ledger) -> Vec<JoinHandle<()>> {
    let mut workers = Vec::new();
    for pusher in 0..PUSHERS {
        let (stage, ledger) = (stage.clone(), ledger.clone());
        workers.push(tokio::spawn(async move {
            while push(&stage, &ledger, pusher).await.is_ok() {}
        }));
    }
    let (pages, books) = (stage.clone(), ledger.clone());
    workers.push(tokio::spawn(
        async move { while apply(&pages, &books).await.is_ok() {} },
    ));
    let (pages, books) = (stage.clone(), ledger.clone());
    workers.push(tokio::spawn(async move { while run(&pages, &books).await.is_ok() {} }));
    workers
}

/// Sends the requests again that were not answered, as a caller does that needs an answer.
pub async fn repeat_what_was_not_answered(stage: &Stage, ledger: &Ledger) {
    for (key, rows) in ledger.unanswered() {
        send_rows(stage, ledger, &key, &rows).await.expect("the server is up");
    }
}

async fn push(stage: &Stage, ledger: &Ledger, pusher: i64) -> Result<()> {
    // Small requests and larger ones, whose rows the log holds in several pieces.
    let (key, rows) = {
        let count = ledger.count() as i64;
        ledger.send(pusher, 1 + (count * 31 + pusher * 17) % 60)
    };
    send_rows(stage, ledger, &key, &rows).await
}

async fn send_rows(stage: &Stage, ledger: &Ledger, key: &str, rows: &[Row]) -> Result<()> {
    // Some callers wait for both stores, which makes the offline sink write early.
    let wait = if rows.len().is_multiple_of(5) {
        "?wait=online,offline&timeout=2s"
    } else {
        ""
    };
    let path = format!("/v1/rows/{}{wait}", stage.group("facts"));
    let rows: Vec<_> = rows.iter().map(|row| row.json()).collect();
    loop {
        let answer = post(stage, &path, &[("idempotency-key", key)], &json!({"rows": rows})).await?;
        match answer.status {
            200 | 202 => {
                ledger.acknowledge(key);
                return Ok(());
            }
            // Full, or not ready yet: a caller comes back.
            429 | 503 => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => panic!("rows are answered {} {}", answer.status, answer.text()),
        }
    }
}

async fn apply(stage: &Stage, ledger: &Ledger) -> Result<()> {
    let number = ledger.next_bundle();
    let bundle = BUNDLE
        .replace("DOMAIN", &stage.domain)
        .replace("NUMBER", &number.to_string());
    let headers = [("content-type", "application/yaml")];
    let answer = stage
        .http
        .try_send("POST", "/v1/apply", &headers, bundle.into_bytes())
        .await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    ledger.bundle_was_applied(number);
    tokio::time::sleep(Duration::from_millis(30)).await;
    Ok(())
}

async fn run(stage: &Stage, ledger: &Ledger) -> Result<()> {
    let answer = post(stage, "/v1/runs", &[], &json!({"groups": [stage.group("double")]})).await?;
    let accepted = answer.expect(202);
    let id = accepted["id"].as_str().expect("a run has an id");
    ledger.run_was_accepted(id);
    loop {
        let path = format!("/v1/runs/{id}");
        let run = stage.http.try_send("GET", &path, &[], Vec::new()).await?.expect(200);
        match run["state"].as_str() {
            Some("queued" | "running") => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => return Ok(()),
        }
    }
}

async fn post(stage: &Stage, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer> {
    let json = ("content-type", "application/json");
    let headers: Vec<_> = headers.iter().copied().chain([json]).collect();
    stage
        .http
        .try_send("POST", path, &headers, body.to_string().into_bytes())
        .await
}
