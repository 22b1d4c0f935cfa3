//! What an installation tells of its work: one trace from a POST of rows to both stores, lines of the log that name it, metrics as documented; and never a key
//! or a value.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forebay_telemetry::Metric;
use serde_json::json;

use crate::collector::{Collector, Span};
use crate::http::Http;
use crate::stage::{Stage, eventually};
use crate::suite::Suite;

/// Settings of a suite that plays this: whatever is logged is seen.
pub fn settings(collector: &Collector) -> Vec<(&'static str, String)> {
    vec![
        ("TELEMETRY__OTLP_ENDPOINT", collector.endpoint.clone()),
        ("TELEMETRY__EXPORT_INTERVAL", "100ms".to_owned()),
        ("LOGS__FILTER", "info,forebay=trace".to_owned()),
    ]
}

const BUNDLE: &str = "
kind: Domain
name: DOMAIN
---
kind: Entity
name: DOMAIN_item
domain: DOMAIN
keys: [{name: item_name, type: string}, {name: item_id, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.facts
entities: [DOMAIN_item]
ttl: 36500d
features:
  - {name: label, type: string}
  - {name: price, type: float64, checks: {max: 1000000, on_fail: reject}}
---
kind: FeatureGroup
name: DOMAIN.computed
entities: [DOMAIN_item]
features: [{name: double, type: float64}]
batch: {sql: 'SELECT item_name, item_id, event_time, price * 2 AS double FROM DOMAIN.facts'}
";

/// What stands in requests and nowhere else. The last is refused, in a row of its own.
const KEY: &str = "quarzfalter-5519";
const KEY_NUMBER: i64 = 776_655_443_322;
const LABEL: &str = "zirkonblume-8842";
const PRICE: f64 = 424_242.625;
const REFUSED_KEY: &str = "opalmotte-7731";
const REFUSED_PRICE: f64 = 98_765_432.125;

/// Parts of texts that would give them away.
const SECRETS: [&str; 8] = [
    "quarzfalter",
    "776655443322",
    "zirkonblume",
    "424242.6",
    "848485.25",
    "opalmotte",
    "98765432",
    "4242426",
];

const AT: &str = "2026-01-02T03:04:05.000006Z";

/// Plays on a suite that sends its spans to this collector.
pub async fn plays(suite: &Suite, collector: &Collector) {
    let stage = suite.stage();
    stage.apply(BUNDLE).await;
    let kafka_and_cassandra = Told {
        service: "forebay-ingestion",
        log: "kafka",
        online: "cassandra",
    };
    rows_make_one_trace(&stage, collector, &kafka_and_cassandra, || suite.logs()).await;
    reads_and_runs_are_traced(&stage, collector).await;
    what_is_not_sampled_is_not_traced(&stage, collector).await;
    metrics_are_as_documented(&stage, suite).await;
    no_key_and_no_value_is_told(suite, collector).await;
}

/// Plays the part of the rows on one process with embedded storage.
pub async fn plays_embedded(stage: &Stage, collector: &Collector, logs: impl Fn() -> String) {
    stage.apply(BUNDLE).await;
    let embedded = Told {
        service: "forebay",
        log: "embedded",
        online: "embedded",
    };
    rows_make_one_trace(stage, collector, &embedded, logs).await;
}

/// As spans name what an installation is made of.
struct Told {
    service: &'static str,
    log: &'static str,
    online: &'static str,
}

/// The headers of a sampled request: its trace and the span it comes from are its own.
fn sampled(number: u8) -> (String, String) {
    let trace_id = format!("4bf92f3577b34da6a3ce929d0e0e47{number:02x}");
    (format!("00-{trace_id}-00f067aa0ba902b7-01"), trace_id)
}

async fn rows_make_one_trace(stage: &Stage, collector: &Collector, told: &Told, logs: impl Fn() -> String) {
    let upsert = format!("{} online_upsert", told.online);
    let (traceparent, trace_id) = sampled(1);
    let group = stage.group("facts");
    let row = |name: &str, price: f64| json!({"item_name": name, "item_id": KEY_NUMBER, "event_time": AT, "label": LABEL, "price": price});
    let answer = stage
        .http
        .post_with(
            &format!("/v1/rows/{group}?wait=online,offline&timeout=60s&on_invalid=skip"),
            &[
                ("traceparent", &traceparent),
                ("idempotency-key", "telemetry-1"),
                ("x-request-id", "request-of-the-rows"),
            ],
            &json!({"rows": [row(KEY, PRICE), row(REFUSED_KEY, REFUSED_PRICE)]}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&answer["accepted"], &answer["rejected_count"]),
        (&json!(1), &json!(1)),
        "{answer}"
    );

    let (online, offline) = (format!("process {group} online"), format!("process {group} offline"));
    let spans = eventually(Duration::from_secs(30), "all spans have come", async || {
        let spans = collector.trace(&trace_id);
        let has = |name: &str| spans.iter().any(|span| span.name == name);
        let root = "POST /v1/rows/{group}";
        match has(&online) && has(&offline) && has(root) && has(&upsert) && has("lake offline_append") {
            true => Ok(spans),
            false => Err(format!("{spans:#?}")),
        }
    })
    .await;
    let one = |name: &str| {
        let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found[0]
    };
    let root = one("POST /v1/rows/{group}");
    assert_eq!((root.parent_id.as_str(), root.kind), ("00f067aa0ba902b7", 2));
    assert_eq!(root.service, told.service);
    assert_eq!(root.attribute("http.route"), Some("/v1/rows/{group}"));
    assert_eq!(root.attribute("http.request.method"), Some("POST"));
    assert!(
        root.attribute("http.response.status_code")
            .is_some_and(|status| status.contains("200")),
        "{root:?}"
    );
    let append = one(&format!("send {group}"));
    assert_eq!((&append.parent_id, append.kind), (&root.span_id, 4));
    assert_eq!(append.attribute("messaging.system"), Some(told.log));
    for (store, backend) in [(&online, upsert.as_str()), (&offline, "lake offline_append")] {
        let sink = one(store);
        assert_eq!((&sink.parent_id, sink.kind), (&append.span_id, 5));
        assert_eq!(sink.attribute("forebay.group"), Some(group.as_str()));
        assert_eq!(one(backend).parent_id, sink.span_id);
        assert!(sink.end > root.start, "{sink:?}");
    }
    // Lines of the log within the request name its trace, its span and its id.
    let logs = logs();
    let line = logs
        .lines()
        .find(|line| line.contains(&trace_id) && line.contains("answered"))
        .unwrap_or_else(|| panic!("no line of the log names the trace {trace_id}"));
    assert!(
        line.contains(&root.span_id) && line.contains("request-of-the-rows"),
        "{line}"
    );
}

async fn reads_and_runs_are_traced(stage: &Stage, collector: &Collector) {
    let feature = stage.group("facts.label");
    let entities = json!({"item_name": [KEY], "item_id": [KEY_NUMBER]});
    let (online, online_trace) = sampled(2);
    let (historical, historical_trace) = sampled(3);
    let (run, run_trace) = sampled(4);
    let answer = stage
        .http
        .post_with(
            "/v1/online-features",
            &[("traceparent", &online)],
            &json!({"features": [feature], "entities": entities}),
        )
        .await
        .expect(200);
    assert!(answer.to_string().contains(LABEL), "{answer}");
    let spine = json!({"item_name": [KEY], "item_id": [KEY_NUMBER], "event_time": ["2026-02-01T00:00:00Z"]});
    let answer = stage
        .http
        .post_with(
            "/v1/historical-features",
            &[("traceparent", &historical)],
            &json!({"features": [feature], "spine": {"columns": spine}}),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let started = stage
        .http
        .post_with(
            "/v1/runs",
            &[("traceparent", &run)],
            &json!({"groups": [stage.group("computed")]}),
        )
        .await
        .expect(202);
    let run = stage.finished(started["id"].as_str().expect("an id")).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    let computed = format!("compute {}", stage.group("computed"));
    for (trace_id, service, names) in [
        (
            &online_trace,
            "forebay-online-serving",
            ["POST /v1/online-features", "cassandra online_read"],
        ),
        (
            &historical_trace,
            "forebay-offline-query",
            ["POST /v1/historical-features", "historical query"],
        ),
        (&run_trace, "forebay-compute", ["run", computed.as_str()]),
    ] {
        eventually(Duration::from_secs(30), "its spans have come", async || {
            let spans = collector.trace(trace_id);
            let has = |name: &&str| spans.iter().any(|span| span.name == **name && span.service == service);
            match names.iter().all(has) {
                true => Ok(()),
                false => Err(format!("{names:?} are not all among {spans:#?}")),
            }
        })
        .await;
    }
}

async fn what_is_not_sampled_is_not_traced(stage: &Stage, collector: &Collector) {
    let (traceparent, trace_id) = sampled(5);
    let unsampled = traceparent.trim_end_matches("01").to_owned() + "00";
    let before = collector.spans().len();
    let body =
        json!({"features": [stage.group("facts.label")], "entities": {"item_name": [KEY], "item_id": [KEY_NUMBER]}});
    stage
        .http
        .post_with("/v1/online-features", &[("traceparent", &unsampled)], &body)
        .await
        .expect(200);
    stage.http.post("/v1/online-features", &body).await.expect(200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(collector.trace(&trace_id).is_empty());
    let of_serving = |spans: &[Span]| {
        spans
            .iter()
            .filter(|span| span.service == "forebay-online-serving")
            .count()
    };
    let spans = collector.spans();
    assert_eq!(of_serving(&spans[before..]), 0, "{:?}", &spans[before..]);
}

/// Which tables of docs/operations.md speak of each service.
const TABLES: [(&str, &[&str]); 5] = [
    ("registry", &["Registry"]),
    ("ingestion", &["Ingestion"]),
    ("compute", &["Compute", "Compute and offline query: the engine"]),
    ("online-serving", &["Online serving"]),
    (
        "offline-query",
        &["Offline query", "Compute and offline query: the engine"],
    ),
];
const OF_ALL: [&str; 2] = ["Every process", "Backends, in every process that uses them"];

/// What tells only of something that has happened, and has not here; or not in every process.
const MAYBE: [&str; 8] = [
    "forebay_backend_errors_total",
    "forebay_compactions_total",
    "forebay_http_problems_total",
    "forebay_leases_lost_total",
    "forebay_registry_answer_age_seconds",
    "forebay_run_task_retries_total",
    "forebay_schedule_lag_seconds",
    "forebay_swept_rows_total",
];

async fn metrics_are_as_documented(stage: &Stage, suite: &Suite) {
    for (service, tables) in TABLES {
        for process in suite.copies_of(service) {
            let documented: Vec<Metric> = OF_ALL
                .iter()
                .chain(tables)
                .flat_map(|title| forebay::metrics::section(title))
                .collect();
            eventually(Duration::from_secs(60), "all metrics are told", async || {
                let text = Http::new(process.http.base_url.clone()).get("/metrics").await.text();
                check_metrics(&text, &documented).map_err(|wrong| format!("{service}: {wrong}"))
            })
            .await;
        }
    }
    // Both sinks have come to the end of the log, and what they brought in is from the day of the rows.
    let group = stage.group("facts");
    eventually(
        Duration::from_secs(60),
        "the gauges of the group are right",
        async || {
            let mut seen = String::new();
            for process in suite.copies_of("ingestion") {
                seen += &Http::new(process.http.base_url.clone()).get("/metrics").await.text();
            }
            let value = |name: &str, store: &str| {
                let samples = samples(&seen);
                let is_it = |sample: &&Sample| {
                    sample.name == name
                        && sample.labels.get("group") == Some(&group)
                        && sample.labels.get("store").is_some_and(|found| found == store)
                };
                samples.iter().find(is_it).map(|sample| sample.value)
            };
            let right = ["online", "offline"].into_iter().all(|store| {
                value("forebay_sink_lag_rows", store) == Some(0.0)
                    && value("forebay_sink_lag_seconds", store) == Some(0.0)
                    && value("forebay_sink_stopped", store) == Some(0.0)
                    && value("forebay_sink_rows_total", store) == Some(1.0)
                    && value("forebay_freshness_seconds", store).is_some_and(|age| age > 86_400.0)
            });
            if right { Ok(()) } else { Err(seen) }
        },
    )
    .await;
}

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// The samples of a page of metrics. The values of labels hold no quotes here.
#[track_caller]
fn samples(text: &str) -> Vec<Sample> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("no labels: {line}"));
            let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
            let labels = pairs.map(|pair| {
                let (name, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
                (name.to_owned(), value.trim_end_matches('"').to_owned())
            });
            Sample {
                name: name.to_owned(),
                labels: labels.collect(),
                value: value.parse().unwrap_or_else(|_| panic!("no value: {line}")),
            }
        })
        .collect()
}

/// Whether a page has what is documented, as it is documented, and nothing else.
fn check_metrics(text: &str, documented: &[Metric]) -> Result<(), String> {
    let samples = samples(text);
    let mut seen = BTreeSet::new();
    for sample in &samples {
        let of = |metric: &&Metric| {
            let end = sample.name.strip_prefix(metric.name);
            match metric.kind.as_str() {
                "histogram" => matches!(end, Some("_bucket" | "_sum" | "_count")),
                _ => end == Some(""),
            }
        };
        let metric = documented
            .iter()
            .find(of)
            .ok_or_else(|| format!("{} is not documented", sample.name))?;
        let labels: Vec<&str> = sample
            .labels
            .keys()
            .map(String::as_str)
            .filter(|label| *label != "le")
            .collect();
        if labels != metric.labels {
            return Err(format!("{} has the labels {labels:?}", sample.name));
        }
        seen.insert(metric.name);
    }
    for metric in documented {
        let told = seen.contains(metric.name);
        if !told && !MAYBE.contains(&metric.name) {
            return Err(format!("{} is not told", metric.name));
        }
        let head = format!(
            "# HELP {} {}\n# TYPE {0} {}\n",
            metric.name,
            metric.help,
            metric.kind.as_str()
        );
        if told && !text.contains(&head) {
            return Err(format!("{} is not described: {text}", metric.name));
        }
    }
    Ok(())
}

async fn no_key_and_no_value_is_told(suite: &Suite, collector: &Collector) {
    let mut told = suite.logs();
    told += &format!("{:?}", collector.spans());
    for (service, _) in TABLES {
        for process in suite.copies_of(service) {
            told += &Http::new(process.http.base_url.clone()).get("/metrics").await.text();
        }
    }
    assert!(told.len() > 10_000, "nothing was told at all: {told}");
    for secret in SECRETS {
        let line = told.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret:?} is told: {}", line.unwrap_or_default());
    }
}
