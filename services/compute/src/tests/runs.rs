use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use forebay_model::{ManualClock, Timestamp};
use forebay_storage::RowLog;
use forebay_testkit::TempStores;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    gate::Gate,
    world::{World, at, config, definitions, diamond, group, states, task},
};
use crate::BatchEngine;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_diamond_is_computed_level_by_level() {
    let world = World::new(diamond(None), config()).await;
    world
        .list(&[(Some(1), 1, Some(100.0), 1000.0), (Some(2), 1, Some(50.0), 3000.0)])
        .await;
    let run = world
        .run(json!({"groups": ["product.value"], "downstream": true}))
        .await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    let levels: Vec<_> = run["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["level"].as_u64().unwrap())
        .collect();
    assert_eq!(levels, [0, 1, 1, 2]);
    assert_eq!(
        world.rows("product.yield", "gross_yield").await,
        [(1, 1, Some(1.2)), (2, 1, Some(0.2))]
    );
    assert_eq!(
        world.rows("product.mix", "mix").await,
        [(1, 1, Some(1.45)), (2, 1, Some(0.95))]
    );
    let value = task(&run, "product.value");
    assert_eq!((&value["rows_read"], &value["rows_written"]), (&json!(2), &json!(2)));
    assert_eq!(value["versions_read"], json!({"listings": 1}));
    // Downstream read exactly what upstream wrote.
    let written = &value["version_written"];
    assert_eq!(&task(&run, "product.yield")["versions_read"]["product.value"], written);

    // Again: nothing is new, so nothing is written, nor committed; then one row is.
    let run = world
        .run(json!({"groups": ["product.value"], "downstream": true}))
        .await;
    let written: Vec<_> = run["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["rows_written"].as_u64().unwrap())
        .collect();
    assert_eq!((written, run["state"].as_str()), (vec![0, 0, 0, 0], Some("succeeded")));
    assert_eq!(task(&run, "product.value").get("version_written"), None);
    world.list(&[(Some(1), 2, Some(100.0), 2000.0)]).await;
    let run = world
        .run(json!({"groups": ["product.value"], "downstream": true}))
        .await;
    assert_eq!(task(&run, "product.value")["rows_written"], 1, "{run:#}");
    assert_eq!(
        world.rows("product.value", "sale_price").await,
        [(1, 1, Some(1000.0)), (1, 2, Some(2000.0)), (2, 1, Some(3000.0))]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_skips_what_is_downstream_and_nothing_else() {
    let mut all = diamond(None);
    all[4]["batch"]["sql"] =
        json!("SELECT product_id, event_time, CAST('x' || rent_price AS DOUBLE) AS gross_yield FROM product.value");
    let world = World::new(all.clone(), config()).await;
    world.list(&[(Some(1), 1, Some(100.0), 1000.0)]).await;
    let run = world
        .run(json!({"groups": ["product.value"], "downstream": true}))
        .await;
    assert_eq!(run["state"], "failed");
    let by_group = |group: &str| task(&run, group)["state"].as_str().unwrap().to_owned();
    assert_eq!(by_group("product.value"), "succeeded");
    assert_eq!(by_group("product.yield"), "failed");
    assert_eq!(by_group("product.share"), "succeeded");
    assert_eq!(by_group("product.mix"), "skipped");
    assert!(
        task(&run, "product.yield")["error"].as_str().unwrap().contains('x'),
        "{run:#}"
    );
    assert_eq!(
        task(&run, "product.yield")["attempts"],
        1,
        "the same would happen again"
    );
    let why = task(&run, "product.mix")["error"].as_str().unwrap();
    assert!(why.contains("product.yield"), "{why}");

    // Once the definition is mended, the run goes on where it stopped.
    let id = run["id"].as_str().unwrap().to_owned();
    let world = world.restarted(diamond(None), config()).await;
    let (status, _) = world.post(&format!("/v1/runs/{id}/resume"), None).await;
    assert_eq!(status, 200);
    let run = world.finished(&id).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(
        task(&run, "product.value")["attempts"],
        1,
        "what has succeeded is not done again"
    );
    assert_eq!(world.rows("product.mix", "mix").await, [(1, 1, Some(2.2))]);
    let (status, problem) = world.post(&format!("/v1/runs/{id}/resume"), None).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("conflict")));
    let (status, _) = world.post(&format!("/v1/runs/{id}/cancel"), None).await;
    assert_eq!(status, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interval_bounds_the_query_and_dates_rows_without_a_time() {
    let all = definitions(&[
        group(
            "product.window",
            &["sale_price"],
            json!({"sql": "SELECT product_id, updated_at AS event_time, sale_price FROM listings WHERE updated_at >= {{ start }} AND updated_at < {{ end }}"}),
        ),
        group(
            "product.total",
            &["total"],
            json!({"sql": "SELECT product_id, sum(sale_price) AS total FROM listings GROUP BY product_id"}),
        ),
    ]);
    let world = World::new(all, config()).await;
    world
        .list(&[
            (Some(1), 1, None, 1.0),
            (Some(1), 2, None, 2.0),
            (Some(1), 3, None, 3.0),
        ])
        .await;
    let (start, end) = ("2026-01-01T02:00:00Z", "2026-01-01T03:00:00Z");
    let body = json!({"groups": ["product.window", "product.total"], "start": start, "end": end});
    let run = world.run(body).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(world.rows("product.window", "sale_price").await, [(1, 2, Some(2.0))]);
    assert_eq!(world.rows("product.total", "total").await, [(1, 3, Some(6.0))]);
    assert_eq!(task(&run, "product.window")["start"], start);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_are_errors_that_show_them() {
    let sql = "SELECT product_id, updated_at AS event_time, sale_price FROM listings";
    let all = definitions(&[group("product.value", &["sale_price"], json!({"sql": sql}))]);
    for (rows, expected) in [
        (
            vec![(Some(7), 1, None, 1.0), (Some(7), 1, None, 1.0)],
            "product_id 7, event_time 2026-01-01T01:00:00Z",
        ),
        (vec![(None, 1, None, 1.0)], "key column `product_id` is null"),
    ] {
        let world = World::new(all.clone(), config()).await;
        world.list(&rows).await;
        let run = world.run(json!({"groups": ["product.value"]})).await;
        let error = task(&run, "product.value")["error"].as_str().unwrap();
        assert!(error.contains(expected), "{error}");
        assert_eq!(world.rows("product.value", "sale_price").await, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_and_times_ahead_leave_rows_out_and_are_counted() {
    let mut value = group(
        "product.value",
        &["rent_price", "sale_price"],
        json!({"sql": "SELECT product_id, updated_at AS event_time, rent_price, sale_price FROM listings"}),
    );
    value["features"][0]["checks"] = json!({"min": 0, "on_fail": "null"});
    value["features"][1]["checks"] = json!({"max": 100});
    let world = World::new(definitions(&[value]), config()).await;
    world
        .list(&[
            (Some(1), 1, Some(-1.0), 1.0),
            (Some(2), 1, Some(1.0), 101.0),
            (Some(3), 1_001, Some(1.0), 1.0),
            (Some(4), 1_000, None, 100.0),
        ])
        .await;
    let run = world.run(json!({"groups": ["product.value"]})).await;
    assert_eq!(
        world.rows("product.value", "rent_price").await,
        [(1, 1, None), (4, 1_000, None)]
    );
    let value = task(&run, "product.value");
    assert_eq!(value["rows_read"], 4);
    assert_eq!((&value["rows_ahead"], &value["rows_rejected"]), (&json!(1), &json!(1)));
    assert_eq!(value["warnings"].as_array().unwrap().len(), 2, "{value:#}");
    // The row from the future comes in once its time has come.
    world.clock.set(Timestamp::from_micros(at(1_001)));
    let run = world.run(json!({"groups": ["product.value"]})).await;
    assert_eq!(task(&run, "product.value")["rows_written"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_without_history_goes_to_the_row_log() {
    let mut value = group(
        "product.now",
        &["sale_price"],
        json!({"sql": "SELECT product_id, updated_at AS event_time, sale_price FROM listings"}),
    );
    value["stores"] = json!(["online"]);
    let world = World::new(definitions(&[value]), config()).await;
    world.list(&[(Some(2), 1, None, 2.0), (Some(1), 1, None, 1.0)]).await;
    let run = world.run(json!({"groups": ["product.now"]})).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(task(&run, "product.now")["rows_written"], 2);
    let snapshot = world.catalog.current();
    let group = snapshot.group(&"product.now".parse().unwrap()).unwrap();
    let fetched = world
        .stores
        .row_log
        .fetch(&group.schema, 0, 0, 1 << 20, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(fetched.rows.len(), 2);
    assert!(fetched.rows[0].key < fetched.rows[1].key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_wrongly_is_refused() {
    let world = World::new(diamond(None), config()).await;
    for (body, code, pointer) in [
        (json!({"groups": []}), "invalid_value", "/groups"),
        (json!({"groups": ["product.valu"]}), "unknown_group", "/groups/0"),
        (json!({"groups": ["Value"]}), "invalid_name", "/groups/0"),
        (
            json!({"groups": ["product.value"], "end": "2027-01-01T00:00:00Z"}),
            "invalid_value",
            "/end",
        ),
        (
            json!({"groups": ["product.value"], "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}),
            "invalid_combination",
            "/start",
        ),
        (json!({"downstream": true}), "invalid_combination", "/groups"),
    ] {
        let (status, problem) = world.post("/v1/runs", Some(&body)).await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (422, Some(code)),
            "{body}: {problem:#}"
        );
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem:#}");
    }
    let (status, _) = world.get("/v1/runs/0198c0de-0000-7000-8000-000000000001").await;
    assert_eq!(status, 404);
    assert_eq!(world.get("/v1/runs/x").await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_key_starts_one_run() {
    let world = World::new(diamond(None), config()).await;
    world.list(&[(Some(1), 1, Some(1.0), 1.0)]).await;
    let body = json!({"groups": ["product.value"]});
    let (status, first) = world.post_with_key("/v1/runs", &body, "k1").await;
    assert_eq!(status, 202, "{first}");
    world.finished(first["id"].as_str().unwrap()).await;
    let (status, again) = world.post_with_key("/v1/runs", &body, "k1").await;
    assert_eq!((status, &again), (202, &first), "as the first time");
    let (status, problem) = world
        .post_with_key("/v1/runs", &json!({"groups": ["product.yield"]}), "k1")
        .await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (422, Some("idempotency_key_reused"))
    );
    let (status, _) = world
        .post_with_key("/v1/runs", &json!({"groups": ["nope.nope"]}), "k2")
        .await;
    assert_eq!(status, 422);
    let (status, second) = world.post_with_key("/v1/runs", &body, "k2").await;
    assert_eq!(status, 202, "a refused request leaves its key free");
    world.finished(second["id"].as_str().unwrap()).await;

    let (_, page) = world.get("/v1/runs?page_size=1").await;
    assert_eq!(page["items"][0]["id"], second["id"]);
    let token = page["next_page_token"].as_str().unwrap();
    let (_, page) = world.get(&format!("/v1/runs?page_size=1&page_token={token}")).await;
    assert_eq!(page["items"][0]["id"], first["id"]);
    assert_eq!(page["next_page_token"], Value::Null);
}

async fn gated(definitions: Value, open: usize, failures: u32) -> (World, Arc<Gate>) {
    let lake = Arc::new(TempDir::new().unwrap());
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(at(1_000))));
    let gate = Gate::new(&lake, &clock, open, failures);
    let stores = Arc::new(TempStores::open());
    let engine: Arc<dyn BatchEngine> = gate.clone();
    let world = World::over(definitions, config(), lake, stores, clock, Some(engine)).await;
    (world, gate)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_tried_again() {
    let (world, _) = gated(diamond(None), 100, 2).await;
    world.list(&[(Some(1), 1, Some(1.0), 1.0)]).await;
    let run = world.run(json!({"groups": ["product.value"]})).await;
    assert_eq!(
        (run["state"].as_str(), &run["tasks"][0]["attempts"]),
        (Some("succeeded"), &json!(3)),
        "{run:#}"
    );
    let (world, _) = gated(diamond(None), 100, 50).await;
    world.list(&[(Some(1), 1, Some(1.0), 1.0)]).await;
    let run = world.run(json!({"groups": ["product.value"]})).await;
    assert_eq!(
        (run["state"].as_str(), &run["tasks"][0]["attempts"]),
        (Some("failed"), &json!(4)),
        "{run:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_stops_and_can_go_on() {
    let (world, gate) = gated(diamond(None), 1, 0).await;
    world.list(&[(Some(1), 1, Some(100.0), 1000.0)]).await;
    let (_, run) = world
        .post(
            "/v1/runs",
            Some(&json!({"groups": ["product.value"], "downstream": true})),
        )
        .await;
    let id = run["id"].as_str().unwrap();
    let path = format!("/v1/runs/{id}");
    world
        .until(&path, |run| task(run, "product.yield")["state"] == "running")
        .await;
    let (status, run) = world.post(&format!("{path}/cancel"), None).await;
    assert_eq!((status, run["state"].as_str()), (200, Some("cancelled")), "{run:#}");
    assert_eq!(states(&run)[0].1, "succeeded");
    assert!(
        states(&run)[1..].iter().all(|(_, state)| state == "cancelled"),
        "{run:#}"
    );
    gate.open.add_permits(100);
    world.post(&format!("{path}/resume"), None).await;
    let events = world.events(&format!("{path}/events")).await;
    assert!(events.contains("event: run"), "{events}");
    let last = events
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["state"], "succeeded", "{last:#}");
    assert_eq!(world.rows("product.mix", "mix").await, [(1, 1, Some(2.2))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_after_the_process_ended_in_its_middle() {
    let (world, gate) = gated(diamond(None), 1, 0).await;
    world.list(&[(Some(1), 1, Some(100.0), 1000.0)]).await;
    let (_, run) = world
        .post(
            "/v1/runs",
            Some(&json!({"groups": ["product.value"], "downstream": true})),
        )
        .await;
    let id = run["id"].as_str().unwrap().to_owned();
    world
        .until(&format!("/v1/runs/{id}"), |run| {
            task(run, "product.yield")["state"] == "running"
        })
        .await;
    while gate.started.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let world = world.restarted(diamond(None), config()).await;
    let run = world.finished(&id).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(task(&run, "product.value")["attempts"], 1);
    assert_eq!(world.rows("product.value", "sale_price").await, [(1, 1, Some(1000.0))]);
    assert_eq!(world.rows("product.mix", "mix").await, [(1, 1, Some(2.2))]);
}
