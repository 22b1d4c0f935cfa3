//! Work: level by level, kept apart in failure, on time, and only where something is new.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{Stage, column, eventually};

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
features: [{name: price, type: float64}, {name: area, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.left
entities: [DOMAIN_item]
features: [{name: double, type: float64}]
batch: {sql: 'SELECT item_id, event_time, price * 2 AS double FROM DOMAIN.facts'}
---
kind: FeatureGroup
name: DOMAIN.right
entities: [DOMAIN_item]
features: [{name: whole, type: int64}]
batch: {sql: 'SELECT item_id, event_time, 100 / area AS whole FROM DOMAIN.facts'}
---
kind: FeatureGroup
name: DOMAIN.both
entities: [DOMAIN_item]
features: [{name: sum, type: float64}]
batch:
  inputs: {i: {features: [{feature: DOMAIN.left.double, as: d}, {feature: DOMAIN.right.whole, as: w}]}}
  sql: SELECT item_id, event_time, d + w AS sum FROM i
---
kind: FeatureGroup
name: DOMAIN.after_left
entities: [DOMAIN_item]
features: [{name: half, type: float64}]
batch:
  sql: SELECT item_id, event_time, double / 4 AS half FROM DOMAIN.left
  trigger: {on_change: true}
";

const DAYS: [&str; 2] = ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"];

pub async fn plays(stage: &Stage) {
    stage.apply(BUNDLE).await;
    let row =
        |item: i64, day: &str, area: i64| json!({"item_id": item, "event_time": day, "price": 10.0, "area": area});
    stage
        .push("facts", &[row(1, DAYS[0], 4), row(1, DAYS[1], 5), row(2, DAYS[1], 10)])
        .await;
    levels_in_order(stage).await;
    only_what_is_new(stage).await;
    an_interval(stage).await;
    a_failure_stays_where_it_is(stage).await;
    on_change(stage).await;
    the_schedule(stage).await;
}

fn task<'a>(run: &'a Value, group: &str) -> &'a Value {
    let tasks = run["tasks"].as_array().expect("tasks");
    tasks
        .iter()
        .find(|task| task["group"] == group)
        .unwrap_or_else(|| panic!("no task of {group} in {run}"))
}

async fn levels_in_order(stage: &Stage) {
    let run = stage
        .run(&json!({"groups": [stage.group("left"), stage.group("right")], "downstream": true}))
        .await;
    assert_eq!(run["state"], "succeeded", "{run}");
    let level = |group: &str| task(&run, &stage.group(group))["level"].as_u64().expect("a level");
    assert!(level("both") > level("left") && level("both") > level("right"), "{run}");
    assert_eq!(task(&run, &stage.group("both"))["rows_written"], 3, "{run}");
    let answer = stage
        .online(&[stage.group("both.sum")], json!({"item_id": [1, 2]}))
        .await;
    let seen = eventually(Duration::from_secs(20), "the run's rows are online", async || {
        let answer = stage
            .online(&[stage.group("both.sum")], json!({"item_id": [1, 2]}))
            .await;
        if answer["results"][1]["statuses"] == json!(["PRESENT", "PRESENT"]) {
            Ok(answer)
        } else {
            Err(answer.to_string())
        }
    })
    .await;
    assert_eq!(seen["results"][1]["values"], json!([40.0, 30.0]), "{answer}");
    let events = stage
        .http
        .get(&format!("/v1/runs/{}/events", run["id"].as_str().expect("an id")))
        .await;
    assert!(events.header("content-type").starts_with("text/event-stream"));
    assert!(events.text().contains("succeeded"), "{}", events.text());
}

async fn only_what_is_new(stage: &Stage) {
    let groups = json!({"groups": [stage.group("left"), stage.group("right"), stage.group("both")]});
    let run = stage.run(&groups).await;
    for task in run["tasks"].as_array().expect("tasks") {
        assert_eq!(
            (&task["state"], &task["rows_written"]),
            (&json!("succeeded"), &json!(0)),
            "{run}"
        );
    }
    // A correction of a past moment is new there; the key's other moments are as they were.
    stage
        .push(
            "facts",
            &[json!({"item_id": 1, "event_time": DAYS[0], "price": 20.0, "area": 4})],
        )
        .await;
    let run = stage.run(&groups).await;
    assert_eq!(task(&run, &stage.group("left"))["rows_written"], 1, "{run}");
    assert_eq!(task(&run, &stage.group("right"))["rows_written"], 0, "{run}");
    let history = json!({"features": [stage.group("left.double")], "period": {}, "entities": {"item_id": [1]}});
    let answer = stage.http.post("/v1/historical-features", &history).await.expect(200);
    assert_eq!(json!(column(&answer, &stage.group("left.double"))), json!([40.0, 20.0]));
}

async fn an_interval(stage: &Stage) {
    stage
        .apply(
            "
kind: FeatureGroup
name: DOMAIN.bounded
entities: [DOMAIN_item]
features: [{name: price, type: float64}]
batch: {sql: 'SELECT item_id, event_time, price FROM DOMAIN.facts WHERE event_time >= {{ start }} AND event_time < {{ end }}'}
",
        )
        .await;
    let run = stage
        .run(&json!({"groups": [stage.group("bounded")], "start": DAYS[1], "end": "2026-01-04T00:00:00Z"}))
        .await;
    assert_eq!(task(&run, &stage.group("bounded"))["rows_written"], 2, "{run}");
    let run = stage.run(&json!({"groups": [stage.group("bounded")]})).await;
    assert_eq!(
        task(&run, &stage.group("bounded"))["rows_written"],
        1,
        "the whole adds what the interval left out: {run}"
    );
}

async fn a_failure_stays_where_it_is(stage: &Stage) {
    // A division of whole numbers by zero fails the query.
    stage
        .push(
            "facts",
            &[json!({"item_id": 3, "event_time": DAYS[1], "price": 10.0, "area": 0})],
        )
        .await;
    let run = stage
        .run(&json!({"groups": [stage.group("left"), stage.group("right")], "downstream": true}))
        .await;
    assert_eq!(run["state"], "failed", "{run}");
    let state = |group: &str| task(&run, &stage.group(group))["state"].clone();
    assert_eq!(
        (state("left"), state("right"), state("both"), state("after_left")),
        (
            json!("succeeded"),
            json!("failed"),
            json!("skipped"),
            json!("succeeded")
        ),
        "{run}"
    );
    assert!(
        task(&run, &stage.group("right"))["error"].to_string().contains("zero"),
        "{run}"
    );

    // Mended, the run goes on where it stopped.
    stage
        .push(
            "facts",
            &[json!({"item_id": 3, "event_time": DAYS[1], "price": 10.0, "area": 1})],
        )
        .await;
    let id = run["id"].as_str().expect("an id");
    let resumed = stage.http.post(&format!("/v1/runs/{id}/resume"), &json!({})).await.ok();
    let run = stage.finished(resumed["id"].as_str().unwrap_or(id)).await;
    assert_eq!(run["state"], "succeeded", "{run}");

    // One key and event time twice in a query's output is an error that shows them.
    stage
        .apply(
            "
kind: FeatureGroup
name: DOMAIN.twice
entities: [DOMAIN_item]
features: [{name: price, type: float64}]
batch: {sql: 'SELECT f.item_id, f.event_time, f.price FROM DOMAIN.facts f CROSS JOIN (SELECT DISTINCT item_id FROM DOMAIN.facts) g'}
",
        )
        .await;
    let run = stage.run(&json!({"groups": [stage.group("twice")]})).await;
    let error = task(&run, &stage.group("twice"))["error"].to_string();
    assert!(
        run["state"] == "failed" && error.contains("item_id") && error.contains("2026-01-0"),
        "{run}"
    );
}

async fn on_change(stage: &Stage) {
    let half = stage.group("after_left.half");
    stage
        .push(
            "facts",
            &[json!({"item_id": 7, "event_time": DAYS[0], "price": 8.0, "area": 1})],
        )
        .await;
    stage.run(&json!({"groups": [stage.group("left")]})).await;
    eventually(
        Duration::from_secs(60),
        "the group that is triggered by a change follows",
        async || {
            let answer = stage.online(std::slice::from_ref(&half), json!({"item_id": [7]})).await;
            let seen = &answer["results"][1]["values"];
            if *seen == json!([4.0]) {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        },
    )
    .await;
}

async fn the_schedule(stage: &Stage) {
    stage
        .apply(
            "
kind: FeatureGroup
name: DOMAIN.nightly
entities: [DOMAIN_item]
features: [{name: price, type: float64}]
batch: {sql: 'SELECT item_id, event_time, price FROM DOMAIN.facts', trigger: {cron: '0 3 * * *', time_zone: UTC}}
",
        )
        .await;
    let schedule = stage.http.get("/v1/schedule").await.expect(200);
    let text = schedule.to_string();
    assert!(
        text.contains(&stage.group("nightly")) && text.contains("T03:00:00"),
        "{schedule}"
    );
}
