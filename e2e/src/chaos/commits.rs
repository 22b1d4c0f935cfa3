//! Commits by others to a group's table while followers are killed and paused, with compactions between a commit and its follower, by others and by us, and two
//! at once.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::World;
use crate::python;
use crate::stage::eventually;

/// Versions that are appended; the table is compacted after every third.
const COMMITS: usize = 45;

/// Rows in each.
const ROWS: usize = 20;

const GROUP: &str = "
kind: FeatureGroup
name: DOMAIN.outside
entities: [DOMAIN_item]
ingest: commits
features: [{name: price, type: float64}]
";

pub(super) async fn play(world: &mut World) {
    world.stage.apply(GROUP).await;
    world.stage.has_table("outside").await;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let shift = world.load();
    let lake = world.stage.lake.clone();
    let table = lake.location(&world.stage.table("outside"));
    let outsider = tokio::task::spawn_blocking(move || {
        let (commits, rows) = (COMMITS.to_string(), ROWS.to_string());
        python::run_on(&lake, "commits.py", &[&table, &commits, &rows])
    });
    let mut hit = 0;
    while !outsider.is_finished() {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..2_000))).await;
        let copy = random.random_range(0..2);
        if random.random_bool(0.5) {
            world.suite.begin("ingestion", copy);
        } else {
            let process = world.suite.copies_of("ingestion")[copy].clone();
            process.pause();
            tokio::time::sleep(Duration::from_millis(random.random_range(500..5_000))).await;
            process.resume();
        }
        hit += 1;
    }
    let told: Value = serde_json::from_str(outsider.await.expect("a script").trim()).expect("JSON");
    shift.end().await;
    let items: Vec<_> = (0..ROWS).collect();
    let feature = world.stage.group("outside.price");
    let last = vec![json!((COMMITS - 1) as f64); ROWS];
    eventually(Duration::from_secs(120), "the last commit is online", async || {
        let answer = world
            .stage
            .online(std::slice::from_ref(&feature), json!({"item_id": items}))
            .await;
        match answer["results"][1]["values"] == json!(last) {
            true => Ok(()),
            false => Err(answer.to_string()),
        }
    })
    .await;
    let history = json!({"features": [feature], "period": {}});
    let answer = world
        .stage
        .http
        .post("/v1/historical-features", &history)
        .await
        .expect(200);
    assert_eq!(
        crate::stage::column(&answer, "item_id").len(),
        COMMITS * ROWS,
        "every row once"
    );
    let group = world.stage.group("outside");
    assert!(!world.suite.is_stopped(&group).await, "rewrites do not stop the group");
    world
        .figures
        .note("commits by others, each online once and in order", COMMITS);
    world
        .figures
        .note("compactions by others between them", &told["compactions"]);
    world
        .figures
        .note("of them lost to one of ours at the same time", &told["conflicts"]);
    world.figures.note("kills and pauses of followers meanwhile", hit);
}
