//! Requests that come again, and how much is remembered of them.

use forebay_model::Duration;
use forebay_storage::{BatchId, Topic};
use uuid::Uuid;

use super::world::{Life, World, eager, until};
use crate::{SinksConfig, Store, sinks::start};

fn rows(from: i64, count: i64) -> Vec<(i64, i64, f64)> {
    (from..from + count).map(|n| (n, n, n as f64)).collect()
}

/// The batch of a request that was first sent so many seconds ago.
fn sent(life: &Life, seconds_ago: i64, number: u128) -> BatchId {
    let moment = life.state.deps.clock.now();
    BatchId::of(
        moment.saturating_sub(Duration::from_micros(seconds_ago * 1_000_000)),
        number,
    )
}

async fn reached(life: &Life, group: &str, stores: &[Store], next: u64) {
    let topic = Topic::of(&life.schema(group));
    for store in stores {
        until("the sinks have come to the log's end", async || {
            life.state.positions.reached(*store, topic, 0) == Some(next)
        })
        .await;
    }
}

const BOTH: [Store; 2] = [Store::Online, Store::Offline];

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_of_what_is_not_remembered_adds_nothing() {
    for identity in [None, Some(Uuid::from_u128(5))] {
        let world = World::new(SinksConfig {
            // Nothing is remembered longer than it must be.
            remembered_bytes: 0,
            ..eager()
        });
        let shared = world.shared().await;
        *shared.log.identity.lock() = identity;
        let life = shared.process(1, &world, true);
        let some = rows(0, 10);
        let (old, new) = (sent(&life, 20 * 3_600, 1), sent(&life, 1, 2));
        for batch in [old, new] {
            // The first attempt got as far as its fifth row.
            let count = if batch == old { 5 } else { 10 };
            life.push("shop.pushed", batch, &some[..count]).await;
        }
        for number in 0..20_i64 {
            let alone = [(100 + number, number, 1.0)];
            life.push("shop.pushed", sent(&life, 0, number.cast_unsigned().into()), &alone)
                .await;
        }
        reached(&life, "shop.pushed", &BOTH, 35).await;
        until("what is committed is forgotten", async || {
            life.state.remembered.used() == 0
        })
        .await;
        // Another request has a row of the same key and event time, which wins.
        life.push("shop.pushed", sent(&life, 0, 99), &[(3, 3, 77.0)]).await;
        reached(&life, "shop.pushed", &BOTH, 36).await;
        for batch in [old, new] {
            life.push("shop.pushed", batch, &some).await;
        }
        reached(&life, "shop.pushed", &BOTH, 56).await;
        life.end().await;
        drop(shared);

        // One that begins anew has not met them itself.
        let shared = world.shared().await;
        *shared.log.identity.lock() = identity;
        let life = shared.process(1, &world, true);
        for batch in [old, new] {
            life.push("shop.pushed", batch, &some).await;
        }
        reached(&life, "shop.pushed", &BOTH, 76).await;
        let offline = life.offline("shop.pushed").await;
        assert_eq!(offline.len(), 5 + 10 + 20 + 1 + 5, "{offline:?}");
        assert_eq!(
            life.online("shop.pushed", 3).await,
            Some((77.0, 3)),
            "repetitions are left out online, too"
        );
        life.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_has_a_bound() {
    const LIMIT: usize = 8 << 10;
    let world = World::new(SinksConfig {
        remembered_bytes: LIMIT,
        ..eager()
    });
    let life = world.begin().await;
    for number in 0..500_i64 {
        let batch = sent(&life, 0, number.cast_unsigned().into());
        life.push("shop.pushed", batch, &[(number, number, 1.0)]).await;
    }
    reached(&life, "shop.pushed", &BOTH, 500).await;
    until("what is above the bound is forgotten", async || {
        life.state.remembered.used() <= LIMIT
    })
    .await;
    assert!(life.state.remembered.used() > LIMIT / 2);
    assert_eq!(life.offline("shop.pushed").await.len(), 500);
    life.end().await;

    // Nor does a start take more.
    let life = world.idle().await;
    let begun = start(&life.state, &life.schema("shop.pushed"), true, true).await;
    assert!(begun.is_ok() && life.state.remembered.used() <= LIMIT);
    drop(begun);
    assert_eq!(life.state.remembered.used(), 0);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_of_a_group_without_history_reads_no_more_than_can_be_repeated() {
    let world = World::new(eager());
    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(5));
    let life = shared.process(1, &world, true);
    let topic = Topic::of(&life.schema("shop.online"));
    let batch = sent(&life, 1, 1);
    life.push("shop.online", BatchId(Uuid::nil()), &rows(0, 20)).await;
    life.push("shop.online", batch, &rows(20, 10)).await;
    reached(&life, "shop.online", &[Store::Online], 30).await;
    life.end().await;
    drop(shared);

    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(5));
    // The rows before that are older.
    *shared.log.offset_at.lock() = Some(20);
    let life = shared.process(1, &world, true);
    life.push("shop.online", BatchId(Uuid::nil()), &[(25, 25, 7.0)]).await;
    life.push("shop.online", batch, &rows(20, 10)).await;
    reached(&life, "shop.online", &[Store::Online], 41).await;
    assert_eq!(
        life.online("shop.online", 25).await,
        Some((7.0, 25)),
        "it is remembered"
    );
    let read = shared.log.read.lock().clone();
    let least = read.iter().filter(|(of, _)| *of == topic).map(|(_, from)| *from).min();
    assert_eq!(least, Some(20));
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boundaries_are_kept_where_somebody_asks_for_them_only() {
    let world = World::new(eager());
    let shared = world.shared().await;
    let life = shared.process(1, &world, false);
    for identity in [None, Some(Uuid::from_u128(5))] {
        *shared.log.identity.lock() = identity;
        for (group, online, offline) in [
            ("shop.pushed", true, true),
            ("shop.online", true, false),
            ("shop.offline", false, true),
        ] {
            let Ok(begun) = start(&life.state, &life.schema(group), online, offline).await else {
                panic!("it begins");
            };
            let asks = identity.is_none() && online && offline;
            assert_eq!(begun.boundaries.is_some(), asks, "{group} of {identity:?}");
        }
    }
    life.end().await;
}
