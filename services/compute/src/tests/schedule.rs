use forebay_model::Timestamp;
use serde_json::{Value, json};

use super::world::{World, at, config, definitions, diamond, group, task};
use crate::ComputeConfig;

fn scheduled() -> ComputeConfig {
    ComputeConfig {
        scheduler: true,
        ..config()
    }
}

async fn newest_finished(world: &World, count: usize) -> Value {
    let runs = world
        .until("/v1/runs", |page| {
            let runs = page["items"].as_array().unwrap();
            runs.len() >= count && !matches!(runs[0]["state"].as_str(), Some("queued" | "running"))
        })
        .await;
    assert_eq!(runs["items"].as_array().unwrap().len(), count, "{runs:#}");
    runs["items"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_added_is_computed_through_to_the_last_group_in_one_run() {
    let all = diamond(Some(json!({"on_change": true})));
    let world = World::new(all.clone(), config()).await;
    world.list(&[(Some(1), 1, Some(100.0), 1000.0)]).await;
    let world = world.restarted(all, scheduled()).await;
    world
        .until("/v1/schedule", |schedule| {
            let items = schedule["items"].as_array().unwrap();
            items
                .iter()
                .all(|item| item["due"] == false && item["last_success"].is_string())
        })
        .await;
    assert_eq!(world.rows("product.mix", "mix").await, [(1, 1, Some(2.2))]);
    let (_, runs) = world.get("/v1/runs").await;
    let before = runs["items"].as_array().unwrap().len();

    world.list(&[(Some(1), 2, Some(100.0), 2000.0)]).await;
    let run = newest_finished(&world, before + 1).await;
    assert_eq!(
        (run["trigger"].as_str(), run["state"].as_str()),
        (Some("change"), Some("succeeded")),
        "{run:#}"
    );
    assert_eq!(run["tasks"].as_array().unwrap().len(), 4);
    assert_eq!(task(&run, "product.mix")["rows_written"], 1, "{run:#}");
    // Nothing follows: what the run itself wrote is not news.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(newest_finished(&world, before + 1).await["id"], run["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_interval_is_what_was_added_widened_by_the_look_back() {
    let sql = "SELECT product_id, updated_at AS event_time, sale_price FROM listings \
               WHERE updated_at >= {{ start }} - INTERVAL '2 hours' AND updated_at < {{ end }}";
    let all = definitions(&[group(
        "product.value",
        &["sale_price"],
        json!({"sql": sql, "trigger": {"on_change": true}}),
    )]);
    let world = World::new(all.clone(), config()).await;
    world.list(&[(Some(1), 1, None, 1.0)]).await;
    let world = world.restarted(all, scheduled()).await;
    let run = newest_finished(&world, 1).await;
    let first = &run["tasks"][0];
    assert_eq!(
        (&first["start"], first["rows_written"].as_u64()),
        (&Value::Null, Some(1)),
        "{run:#}"
    );
    world.list(&[(Some(1), 10, None, 2.0), (Some(2), 12, None, 3.0)]).await;
    let run = newest_finished(&world, 2).await;
    let second = &run["tasks"][0];
    assert_eq!(second["start"], "2026-01-01T10:00:00Z", "{run:#}");
    let end = second["end"].as_str().unwrap();
    assert!(end.starts_with("2026-01-01T14:00:00.00"), "{end}");
    assert_eq!(second["rows_written"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_start_groups_over_the_time_since_they_last_did() {
    let sql = "SELECT product_id, updated_at AS event_time, sale_price FROM listings \
               WHERE updated_at >= {{ start }} AND updated_at < {{ end }}";
    let all = definitions(&[
        group(
            "product.hourly",
            &["sale_price"],
            json!({"sql": sql, "trigger": {"every": "1h"}}),
        ),
        group(
            "product.nightly",
            &["sale_price"],
            json!({"sql": sql, "trigger": {"cron": "0 3 * * *", "time_zone": "America/Sao_Paulo"}}),
        ),
        group("product.asked", &["sale_price"], json!({"sql": sql})),
    ]);
    let world = World::new(all, config()).await;
    world.clock.set(Timestamp::from_micros(at(24)));
    world.list(&[(Some(1), 1, None, 1.0)]).await;
    let world = world
        .restarted(
            definitions(&[
                group(
                    "product.hourly",
                    &["sale_price"],
                    json!({"sql": sql, "trigger": {"every": "1h"}}),
                ),
                group(
                    "product.nightly",
                    &["sale_price"],
                    json!({"sql": sql, "trigger": {"cron": "0 3 * * *", "time_zone": "America/Sao_Paulo"}}),
                ),
                group("product.asked", &["sale_price"], json!({"sql": sql})),
            ]),
            scheduled(),
        )
        .await;
    // The first of `every` comes at once, over the whole past.
    let run = newest_finished(&world, 1).await;
    assert_eq!(
        (run["trigger"].as_str(), run["tasks"].as_array().unwrap().len()),
        (Some("every"), 1),
        "{run:#}"
    );
    assert_eq!(run["tasks"][0]["rows_written"], 1);
    let (_, schedule) = world.get("/v1/schedule").await;
    let items = schedule["items"].as_array().unwrap();
    let of = |name: &str| items.iter().find(|item| item["group"] == name).unwrap();
    assert_eq!(of("product.hourly")["next"], "2026-01-02T01:00:00Z", "{schedule:#}");
    // Three o'clock in Sao Paulo.
    assert_eq!(of("product.nightly")["next"], "2026-01-02T06:00:00Z");
    assert_eq!(of("product.nightly")["trigger"], "cron");
    assert_eq!(
        (&of("product.asked")["next"], of("product.asked")["trigger"].as_str()),
        (&Value::Null, Some("request"))
    );
    assert_eq!(of("product.hourly")["reads"], json!(["listings"]));

    world.list(&[(Some(1), 24, None, 2.0)]).await;
    world.clock.set(Timestamp::from_micros(at(25)));
    let run = newest_finished(&world, 2).await;
    let task = &run["tasks"][0];
    assert_eq!(
        (task["start"].as_str(), task["end"].as_str()),
        (Some("2026-01-02T00:00:00Z"), Some("2026-01-02T01:00:00Z")),
        "{run:#}"
    );
    assert_eq!(
        world.rows("product.hourly", "sale_price").await,
        [(1, 1, Some(1.0)), (1, 24, Some(2.0))]
    );
    world.clock.set(Timestamp::from_micros(at(30)));
    newest_finished(&world, 3).await;
    assert_eq!(world.rows("product.nightly", "sale_price").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_due_runs_on_request() {
    let world = World::new(diamond(Some(json!({"on_change": true}))), config()).await;
    world.list(&[(Some(1), 1, Some(100.0), 1000.0)]).await;
    let (_, schedule) = world.get("/v1/schedule").await;
    assert_eq!(schedule["items"][0]["due"], true, "{schedule:#}");
    let run = world.run(json!({})).await;
    assert_eq!(
        (run["state"].as_str(), run["tasks"].as_array().unwrap().len()),
        (Some("succeeded"), 4),
        "{run:#}"
    );
    assert_eq!(world.rows("product.mix", "mix").await, [(1, 1, Some(2.2))]);
    let run = world.run(json!({})).await;
    assert_eq!((run["state"].as_str(), &run["tasks"]), (Some("succeeded"), &json!([])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_fails_is_not_tried_again_and_again() {
    let sql =
        "SELECT product_id, updated_at AS event_time, CAST('x' || sale_price AS DOUBLE) AS sale_price FROM listings";
    let all = definitions(&[group(
        "product.value",
        &["sale_price"],
        json!({"sql": sql, "trigger": {"on_change": true}}),
    )]);
    let world = World::new(all.clone(), config()).await;
    world.list(&[(Some(1), 1, None, 1.0)]).await;
    let world = world.restarted(all, scheduled()).await;
    let run = newest_finished(&world, 1).await;
    assert_eq!(run["state"], "failed");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    newest_finished(&world, 1).await;
    // Something new is a reason.
    world.list(&[(Some(2), 2, None, 1.0)]).await;
    newest_finished(&world, 2).await;
}
