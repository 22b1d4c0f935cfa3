use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use forebay_storage::{Advance, Append, BatchId, CommitIdentity, OfflineStore, SettledTime, Topic};
use futures::{StreamExt, stream};
use uuid::Uuid;

use super::world::{Life, PATIENCE, World, batch, eager, until};
use crate::{SinksConfig, Store};

const ANONYMOUS: BatchId = BatchId(Uuid::nil());

fn rows(from: i64, count: i64) -> Vec<(i64, i64, f64)> {
    (from..from + count).map(|n| (n % 10, n, n as f64)).collect()
}

async fn reached(life: &Life, group: &str, next: u64) {
    let topic = Topic::of(&life.schema(group));
    let stores = [
        life.state
            .deps
            .catalog
            .current()
            .group(&group.parse().unwrap())
            .unwrap()
            .is_online()
            .then_some(Store::Online),
        life.state
            .deps
            .catalog
            .current()
            .group(&group.parse().unwrap())
            .unwrap()
            .has_history()
            .then_some(Store::Offline),
    ];
    for store in stores.into_iter().flatten() {
        until("the sinks have come to the log's end", async || {
            life.state.positions.reached(store, topic, 0) == Some(next)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_reach_both_stores_once_over_restarts() {
    let world = World::new(eager());
    let mut expected = Vec::new();
    for life in 0..3 {
        let some = rows(life * 100, 100);
        let working = world.begin().await;
        for rows in some.chunks(10) {
            working.push("shop.pushed", ANONYMOUS, rows).await;
        }
        expected.extend(some);
        if life == 1 {
            reached(&working, "shop.pushed", expected.len() as u64).await;
        }
        // What the sinks have not seen yet they bring in while the process drains.
        working.end().await;
    }
    let life = world.begin().await;
    reached(&life, "shop.pushed", 300).await;
    expected.sort_by(|one, other| one.partial_cmp(other).unwrap());
    assert_eq!(life.offline("shop.pushed").await, expected);
    for id in 0..10 {
        assert_eq!(
            life.online("shop.pushed", id).await,
            Some((290.0 + id as f64, 290 + id))
        );
    }
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_group_goes_to_its_stores() {
    let world = World::new(eager());
    let life = world.begin().await;
    for group in ["shop.online", "shop.offline"] {
        life.push(group, ANONYMOUS, &rows(0, 20)).await;
        reached(&life, group, 20).await;
    }
    assert_eq!(life.online("shop.online", 3).await, Some((13.0, 13)));
    assert_eq!(life.online("shop.offline", 3).await, None);
    assert_eq!(life.offline("shop.offline").await.len(), 20);
    assert!(!world.folder.path().join("lake/shop/online").exists());
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_attempt_changes_neither_store() {
    let world = World::new(eager());
    let mine = BatchId(Uuid::from_u128(7));
    let first = [(1, 10, 1.0), (2, 10, 1.0)];
    let life = world.begin().await;
    // The first attempt got as far as its first row.
    life.push("shop.pushed", mine, &first[..1]).await;
    life.push("shop.pushed", ANONYMOUS, &[(1, 10, 2.0)]).await;
    reached(&life, "shop.pushed", 2).await;
    life.end().await;

    let life = world.begin().await;
    life.push("shop.pushed", mine, &first).await;
    reached(&life, "shop.pushed", 4).await;
    let expected = [(1, 10, 1.0), (1, 10, 2.0), (2, 10, 1.0)];
    assert_eq!(life.offline("shop.pushed").await, expected);
    assert_eq!(
        life.online("shop.pushed", 1).await,
        Some((2.0, 10)),
        "the later row of another request wins"
    );
    assert_eq!(life.online("shop.pushed", 2).await, Some((1.0, 10)));

    life.push("shop.pushed", mine, &first).await;
    reached(&life, "shop.pushed", 6).await;
    assert_eq!(life.offline("shop.pushed").await, expected);
    assert_eq!(life.online("shop.pushed", 1).await, Some((2.0, 10)));
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_commit_and_position_doubles_nothing() {
    let world = World::new(eager());
    let some = rows(0, 30);
    let life = world.idle().await;
    life.push("shop.pushed", ANONYMOUS, &some).await;
    // The commit stands, and the process died before it could tell anybody.
    let append = Append {
        identity: CommitIdentity::Positions(vec![Advance {
            partition: 0,
            from: 0,
            to: 20,
        }]),
        rows: stream::iter([Ok(batch(&some[..20]))]).boxed(),
        notes: Default::default(),
    };
    life.delta.append(&life.schema("shop.pushed"), append).await.unwrap();
    life.end().await;

    let life = world.begin().await;
    reached(&life, "shop.pushed", 30).await;
    let mut expected = some;
    expected.sort_by(|one, other| one.partial_cmp(other).unwrap());
    assert_eq!(life.offline("shop.pushed").await, expected);
    assert_eq!(life.online("shop.pushed", 9).await, Some((29.0, 29)));
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sink_of_the_same_table_costs_nothing_but_time() {
    let world = World::new(SinksConfig {
        flush_interval_ms: 300,
        ..eager()
    });
    let life = world.begin().await;
    let some = rows(0, 40);
    life.push("shop.pushed", ANONYMOUS, &some).await;
    let append = Append {
        identity: CommitIdentity::Positions(vec![Advance {
            partition: 0,
            from: 0,
            to: 15,
        }]),
        rows: stream::iter([Ok(batch(&some[..15]))]).boxed(),
        notes: Default::default(),
    };
    life.delta.append(&life.schema("shop.pushed"), append).await.unwrap();
    reached(&life, "shop.pushed", 40).await;
    assert_eq!(life.offline("shop.pushed").await.len(), 40);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_has_rows_committed_early() {
    let world = World::new(SinksConfig {
        flush_interval_ms: 3_600_000,
        ..eager()
    });
    let life = world.begin().await;
    let schema = life.schema("shop.pushed");
    let topic = Topic::of(&schema);
    let begun = life.state.deps.clock.now();
    let deadline = Instant::now() + PATIENCE;
    assert!(
        life.state.settled.wait(&schema, begun, deadline).await.unwrap() >= begun,
        "nothing is on its way"
    );

    let appended = life.push("shop.pushed", ANONYMOUS, &rows(0, 5)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(life.offline("shop.pushed").await, [], "there is no hurry");
    assert!(
        life.state
            .positions
            .wait(Store::Offline, topic, &appended, deadline)
            .await
    );
    assert_eq!(life.offline("shop.pushed").await.len(), 5);

    life.push("shop.pushed", ANONYMOUS, &rows(5, 5)).await;
    let now = life.state.deps.clock.now();
    assert!(life.state.settled.wait(&schema, now, deadline).await.unwrap() >= now);
    assert_eq!(
        life.offline("shop.pushed").await.len(),
        10,
        "settled means that all rows up to then are there"
    );
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_flight_hold_the_settled_time() {
    let world = World::new(eager());
    let life = world.begin().await;
    let schema = life.schema("shop.pushed");
    let held = life.state.in_flight.begin(Topic::of(&schema));
    let soon = Instant::now() + Duration::from_millis(300);
    let settled = life
        .state
        .settled
        .wait(&schema, life.state.deps.clock.now(), soon)
        .await
        .unwrap();
    assert!(settled <= held.time());
    let until_then = held.time();
    drop(held);
    let now = life.state.deps.clock.now();
    let settled = life
        .state
        .settled
        .wait(&schema, now, Instant::now() + PATIENCE)
        .await
        .unwrap();
    assert!(settled >= now && settled > until_then);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_lets_rows_go_that_both_stores_hold() {
    let world = World::new(eager());
    let life = world.begin().await;
    let schema = life.schema("shop.pushed");
    life.push("shop.pushed", ANONYMOUS, &rows(0, 50)).await;
    reached(&life, "shop.pushed", 50).await;
    life.end().await;
    let life = world.begin().await;
    reached(&life, "shop.pushed", 50).await;
    let bounds = life.state.deps.row_log.bounds(&schema).await.unwrap();
    assert_eq!(bounds[0].1, 50);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_keeps_its_rows_has_nothing_doubled() {
    let world = World::new(eager());
    let life = world.begin().await;
    life.push("shop.pushed", ANONYMOUS, &rows(0, 10)).await;
    reached(&life, "shop.pushed", 10).await;
    life.shared.log.keeps.store(true, Ordering::SeqCst);
    for from in [10, 20, 30] {
        life.push("shop.pushed", ANONYMOUS, &rows(from, 10)).await;
        reached(&life, "shop.pushed", (from + 10) as u64).await;
    }
    life.shared.log.keeps.store(false, Ordering::SeqCst);
    life.push("shop.pushed", ANONYMOUS, &rows(40, 10)).await;
    reached(&life, "shop.pushed", 50).await;
    assert_eq!(life.offline("shop.pushed").await.len(), 50);
    life.end().await;
}
