//! The services apart, over a real Kafka, Cassandra and S3 server on this machine: rows per second from a request to both stores, and the time from a row's
//! acknowledgement to the first answer that has it, at a steady load.
//!
//! `FOREBAY_BIN=target/release/forebay bench-suite [SECONDS]`; the servers are those that `FOREBAY_TEST_CASSANDRA`, `FOREBAY_TEST_KAFKA` and `FOREBAY_TEST_S3`
//! name, or are started.
#![allow(clippy::expect_used)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_e2e::suite::{Backends, Suite};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// With 50 float64 features a row has 450 bytes as it is stored.
const FEATURES: usize = 50;
const BATCH: usize = 1_000;
/// Bodies are made before the clock runs.
const BODIES: usize = 64;
const CONNECTIONS: usize = 4;
/// Of the steady load: requests of one row each.
const REQUESTS_PER_SECOND: u32 = 200;

#[tokio::main]
async fn main() {
    let seconds = std::env::args()
        .nth(1)
        .map_or(20, |text| text.parse().expect("seconds"));
    let backends = tokio::task::spawn_blocking(Backends::shared).await.expect("servers");
    let suite = Suite::start(&backends, 1, &[]).await;
    let features: Vec<Value> = (0..FEATURES)
        .map(|n| json!({"name": format!("f{n}"), "type": "float64"}))
        .collect();
    let definitions = json!({"objects": [
        {"kind": "Domain", "name": "product"},
        {"kind": "Entity", "name": "product", "domain": "product", "keys": [{"name": "product_id", "type": "int64"}]},
        {"kind": "FeatureGroup", "name": "product.value", "entities": ["product"], "features": features},
        {"kind": "FeatureGroup", "name": "product.view", "entities": ["product"], "features": [{"name": "seen", "type": "int64"}]}
    ]});
    suite.http().post("/v1/apply", &definitions).await.ok();
    let address = |service: &str| suite.copies_of(service)[0].http.base_url.clone();
    let (ingestion, serving) = (address("ingestion"), address("online-serving"));
    throughput(&ingestion, Duration::from_secs(seconds)).await;
    freshness(&ingestion, &serving, Duration::from_secs(seconds)).await;
}

/// Sends as fast as the answers come, then waits until both stores hold the rows.
async fn throughput(ingestion: &str, lasts: Duration) {
    let client = reqwest::Client::new();
    let bodies: Arc<Vec<String>> = Arc::new((0..BODIES).map(body).collect());
    let began = Instant::now();
    let workers = (0..CONNECTIONS).map(|worker| {
        let (client, bodies) = (client.clone(), bodies.clone());
        let url = format!("{ingestion}/v1/rows/product.value");
        tokio::spawn(async move {
            let (mut rows, mut last) = (0, String::new());
            let mut number = worker;
            while began.elapsed() < lasts {
                let request = client.post(&url).header("content-type", "application/x-ndjson");
                let answer = request
                    .body(bodies[number % BODIES].clone())
                    .send()
                    .await
                    .expect("an answer");
                match answer.status().as_u16() {
                    202 => {
                        let receipt: Value = answer.json().await.expect("JSON");
                        last = receipt["receipt"].as_str().expect("a receipt").to_owned();
                        rows += BATCH;
                        number += CONNECTIONS;
                    }
                    429 | 503 => tokio::time::sleep(Duration::from_millis(20)).await,
                    other => panic!("answered {other}: {}", answer.text().await.unwrap_or_default()),
                }
            }
            (rows, last)
        })
    });
    let ended = futures::future::join_all(workers).await;
    let taken_in = began.elapsed();
    let ended: Vec<(usize, String)> = ended.into_iter().map(|worker| worker.expect("no panic")).collect();
    let rows: usize = ended.iter().map(|(rows, _)| rows).sum();
    let (mut online, mut offline) = (None, None);
    while online.is_none() || offline.is_none() {
        let mut held = (true, true);
        for (_, receipt) in &ended {
            let answer = client
                .get(format!("{ingestion}/v1/receipts/{receipt}"))
                .send()
                .await
                .expect("an answer");
            let answer: Value = answer.json().await.expect("JSON");
            held = (held.0 && answer["online"] == true, held.1 && answer["offline"] == true);
        }
        if held.0 {
            online.get_or_insert_with(|| began.elapsed());
        }
        if held.1 {
            offline.get_or_insert_with(|| began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = |time: Duration| rows as f64 / time.as_secs_f64();
    println!("rows of 450 bytes, NDJSON, {BATCH} a request, {CONNECTIONS} connections: {rows} rows");
    println!("  acknowledged {:.0} rows/s", rate(taken_in));
    println!("  in the online store {:.0} rows/s", rate(online.expect("set")));
    println!("  in the offline table {:.0} rows/s", rate(offline.expect("set")));
}

fn body(nth: usize) -> String {
    let row = |row: usize| {
        let features: String = (0..FEATURES)
            .map(|n| format!(",\"f{n}\":{}.{:02}", (nth * 7919 + row * 31 + n) % 1_000_000, n))
            .collect();
        let key = (nth * BATCH + row) * 15_485_863 % 1_000_000;
        format!(
            "{{\"product_id\":{key},\"event_time\":\"2026-01-01T00:{:02}:{:02}.000000Z\"{features}}}\n",
            nth / 60 % 60,
            nth % 60
        )
    };
    (0..BATCH).map(row).collect()
}

/// At a steady load of small requests: how long after its acknowledgement a row is in an answer for the first time.
async fn freshness(ingestion: &str, serving: &str, lasts: Duration) {
    let client = reqwest::Client::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / REQUESTS_PER_SECOND);
    let began = Instant::now();
    let mut requests = Vec::new();
    for key in 0_i64.. {
        tick.tick().await;
        if began.elapsed() >= lasts {
            break;
        }
        let (client, ingestion, serving) = (client.clone(), ingestion.to_owned(), serving.to_owned());
        requests.push(tokio::spawn(async move {
            let rows = json!({"rows": [{"product_id": key, "seen": key}]});
            let sent = Instant::now();
            let answer = client
                .post(format!("{ingestion}/v1/rows/product.view?event_time=now"))
                .json(&rows)
                .send()
                .await;
            assert_eq!(answer.expect("an answer").status(), 202);
            let acknowledged = Instant::now();
            let ask =
                json!({"features": ["product.view.seen"], "entities": {"product_id": [key]}, "include": ["values"]});
            loop {
                let answer = client
                    .post(format!("{serving}/v1/online-features"))
                    .json(&ask)
                    .send()
                    .await
                    .expect("an answer");
                let answer: Value = answer.json().await.expect("JSON");
                if answer["results"][1]["values"][0] == key {
                    return (acknowledged - sent, acknowledged.elapsed());
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }));
    }
    // Microseconds, up to ten minutes.
    let new = || Histogram::<u64>::new_with_bounds(1, 600_000_000, 3).expect("a histogram");
    let (mut acknowledged, mut readable) = (new(), new());
    for request in requests {
        let (to_acknowledged, to_readable) = request.await.expect("no panic");
        acknowledged.saturating_record(u64::try_from(to_acknowledged.as_micros()).unwrap_or(u64::MAX));
        readable.saturating_record(u64::try_from(to_readable.as_micros()).unwrap_or(u64::MAX));
    }
    let at = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{REQUESTS_PER_SECOND} requests of one row a second, {} in all:",
        acknowledged.len()
    );
    for (what, histogram) in [
        ("until acknowledged", &acknowledged),
        ("from acknowledged to readable online", &readable),
    ] {
        println!(
            "  {what}: p50 {:.1} ms, p99 {:.1} ms",
            at(histogram, 0.5),
            at(histogram, 0.99)
        );
    }
}
