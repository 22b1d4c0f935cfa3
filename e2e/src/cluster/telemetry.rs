//! What the pods tell about themselves: metrics, logs, and one trace of a row from its POST to its being read online.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::World;
use super::kube::{Kube, PATIENCE};
use crate::collector::Collector;
use crate::http::Http;
use crate::load::ledger::Row;
use crate::load::work;
use crate::stage::{Stage, eventually};

/// What every service tells under the same names.
const METRICS: [&str; 7] = [
    "forebay_build_info",
    "forebay_ready",
    "forebay_http_requests_total",
    "forebay_http_request_duration_seconds_bucket",
    "forebay_registry_revision",
    "forebay_backend_request_duration_seconds_bucket",
    "process_resident_memory_bytes",
];

pub(super) async fn play(world: &mut World) {
    let kube = world.release.kube.clone();
    let step = "every pod tells its metrics, under the same names";
    world.report.step(step, metrics(&kube)).await;
    let step = "every line that pods log is JSON";
    if let Some(lines) = world.report.step(step, logs(&kube)).await {
        world.report.figure("lines of logs that were read", lines);
    }
    let step = "one trace from the POST of a row to its being read online";
    let stage = world.stage();
    let traced = trace(&stage, &world.collector);
    let told = world.report.step(step, async {
        let spans = traced.await;
        for service in ["ingestion", "online-serving"] {
            assert!(
                spans.keys().any(|name| name.ends_with(service)),
                "no span of {service}: {spans:?}"
            );
        }
        let of_sinks = |store: &str| {
            spans
                .values()
                .flatten()
                .any(|name| name.starts_with("process ") && name.ends_with(store))
        };
        assert!(
            of_sinks("online") && of_sinks("offline"),
            "no spans of both sinks: {spans:?}"
        );
        let told = spans
            .iter()
            .map(|(service, names)| format!("{service}: {}", names.join(", ")));
        told.collect::<Vec<_>>().join("; ")
    });
    if let Some(told) = told.await {
        world.report.figure("spans of that trace", told);
    }
}

async fn metrics(kube: &Kube) {
    for pod in kube.pods().await {
        let http = Http::new(format!("http://{}", pod.address.expect("an address")));
        let told = http.get("/metrics").await.text();
        for name in METRICS {
            let is_told = told
                .lines()
                .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
            assert!(is_told, "{} does not tell {name}", pod.name);
        }
    }
}

/// Returns how many lines there were.
async fn logs(kube: &Kube) -> usize {
    let mut count = 0;
    for pod in kube.pods().await {
        for line in kube.kubectl(&["logs", &pod.name]).await.lines() {
            let told: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{}: {line}", pod.name));
            let is_text = |field: &str| told[field].is_string();
            assert!(
                ["timestamp", "level", "target", "message"].into_iter().all(is_text),
                "{}: {line}",
                pod.name
            );
            count += 1;
        }
    }
    count
}

/// Pushes a row and reads it as one caller who samples both requests under one trace. Returns the names of its spans by service, once all parents are known.
async fn trace(stage: &Stage, collector: &Collector) -> BTreeMap<String, Vec<String>> {
    work::define(stage).await;
    let trace = uuid::Uuid::new_v4().simple().to_string();
    let caller = "00f067aa0ba902b7";
    let parent = format!("00-{trace}-{caller}-01");
    let headers = [("traceparent", parent.as_str())];
    let row = Row::of(0, 1);
    let path = format!("/v1/rows/{}?wait=online,offline&timeout=60s", stage.group("facts"));
    let pushed = stage
        .http
        .post_with(&path, &headers, &json!({"rows": [row.json()]}))
        .await;
    pushed.expect(200);
    let read = json!({"features": [stage.group("facts.price")], "entities": {"item_id": [row.item]}});
    let answer = stage
        .http
        .post_with("/v1/online-features", &headers, &read)
        .await
        .expect(200);
    assert_eq!(answer["results"][1]["statuses"][0], "PRESENT");
    let spans = eventually(PATIENCE, "all spans have come", async || {
        let spans = collector.trace(&trace);
        let has = |parent: &str| parent == caller || spans.iter().any(|span| span.span_id == parent);
        let is_whole = spans.iter().all(|span| has(&span.parent_id));
        let is_done = spans.iter().any(|span| span.service.ends_with("online-serving"))
            && spans.iter().filter(|span| span.name.starts_with("process ")).count() >= 2;
        match is_whole && is_done {
            true => Ok(spans),
            false => Err(format!("{spans:?}")),
        }
    })
    .await;
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for span in spans {
        names.entry(span.service).or_default().push(span.name);
    }
    names
}
