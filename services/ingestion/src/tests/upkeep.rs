use std::time::Duration;

use forebay_storage::{BatchId, ChangeKind, Changes, OfflineStore, Topic};
use uuid::Uuid;

use super::world::{World, eager, until};
use crate::{SinksConfig, Store};

const ANONYMOUS: BatchId = BatchId(Uuid::nil());

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_compacted_beside_the_sinks() {
    let world = World::new(SinksConfig {
        flush_interval_ms: 5,
        compaction_min_files: 4,
        checkpoint_every: 10,
        ..eager()
    });
    let life = world.begin().await;
    let schema = life.schema("shop.pushed");
    let topic = Topic::of(&schema);
    let mut expected = Vec::new();
    for round in 0..30_i64 {
        let rows: Vec<_> = (0..20).map(|id| (id, round, (round * 100 + id) as f64)).collect();
        life.push("shop.pushed", ANONYMOUS, &rows).await;
        expected.extend(rows);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until("all rows are offline", async || {
        life.state.positions.reached(Store::Offline, topic, 0) == Some(expected.len() as u64)
    })
    .await;
    until("some files were merged", async || {
        let Changes::Listed(changes) = life.delta.changes(&schema, None, 10_000).await.unwrap() else {
            return false;
        };
        changes.iter().any(|change| change.kind == ChangeKind::RewritesFiles)
    })
    .await;
    until("a checkpoint was written", async || {
        world
            .folder
            .path()
            .join("lake/shop/pushed/_delta_log/_last_checkpoint")
            .exists()
    })
    .await;
    expected.sort_by(|one, other| one.partial_cmp(other).unwrap());
    assert_eq!(life.offline("shop.pushed").await, expected);
    life.end().await;

    let life = world.begin().await;
    assert_eq!(life.offline("shop.pushed").await, expected);
    assert_eq!(life.online("shop.pushed", 7).await, Some((2_907.0, 29)));
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_long_past_their_ttl_are_swept_online_only() {
    let world = World::new(eager());
    let life = world.begin().await;
    let now = life.state.deps.clock.now().micros();
    let hours = |hours: f64| now - (hours * 3_600e6) as i64;
    life.push(
        "shop.brief",
        ANONYMOUS,
        &[(1, hours(0.5), 1.0), (2, hours(1.5), 2.0), (3, hours(2.5), 3.0)],
    )
    .await;
    until("the oldest row is swept", async || {
        let reached = life
            .state
            .positions
            .reached(Store::Offline, Topic::of(&life.schema("shop.brief")), 0);
        reached == Some(3) && life.online("shop.brief", 3).await.is_none()
    })
    .await;
    assert!(life.online("shop.brief", 1).await.is_some());
    assert!(
        life.online("shop.brief", 2).await.is_some(),
        "expired, and not yet twice"
    );
    assert_eq!(life.offline("shop.brief").await.len(), 3);
    life.end().await;
}
