use std::sync::Arc;

use forebay_model::Value;
use futures::future::join_all;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{Installation, OnlineStore, PlainRow, assert_stored, read, upsert};
use crate::{
    StorageError,
    conformance::{rows::winners, schemas},
};

type Place = dyn Installation<dyn OnlineStore>;

pub(super) async fn late_rows_never_win(place: &Place) {
    let store = place.open().await;
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    for flush in [false, true] {
        let id = i64::from(flush);
        // Before 1970, across it, and after.
        for (newer, older) in [(-5_000_000, -6_000_000), (1, -1), (2_000_000, 1_000_000)] {
            let (newer, older) = (PlainRow::price(id, newer, 1, 1.0), PlainRow::price(id, older, 9, 2.0));
            upsert(&*store, &schema, std::slice::from_ref(&newer)).await;
            if flush {
                store.flush().await.expect("flushed");
            }
            upsert(&*store, &schema, std::slice::from_ref(&older)).await;
            assert_stored(
                &*store,
                &schema,
                &newer,
                "a late row does not win, however late its sequence",
            )
            .await;
            store.flush().await.expect("flushed");
            assert_stored(&*store, &schema, &newer, "nor after a flush").await;
        }
    }
}

pub(super) async fn equal_event_times_go_by_sequence(place: &Place) {
    let store = place.open().await;
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    let (first, second) = (PlainRow::price(1, -3, 7, 9.0), PlainRow::price(1, -3, 8, 1.0));
    for rows in [[&first, &second], [&second, &first]] {
        for row in rows {
            upsert(&*store, &schema, std::slice::from_ref(row)).await;
        }
        assert_stored(&*store, &schema, &second, "the greater sequence wins in any order").await;
        store.flush().await.expect("flushed");
        assert_stored(&*store, &schema, &second, "and after a flush").await;
    }
}

pub(super) async fn equal_versions_go_by_hash(place: &Place) {
    let store = place.open().await;
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    for id in 0..20 {
        let rows = [
            PlainRow::price(id, 5, 5, 1.0),
            PlainRow::price(id, 5, 5, id as f64 + 2.0),
        ];
        let winner = *winners(&schema, &rows).values().next().expect("one key");
        for order in [[0, 1], [1, 0]] {
            for index in order {
                upsert(&*store, &schema, &rows[index..=index]).await;
                if id % 2 == 0 {
                    store.flush().await.expect("flushed");
                }
            }
            assert_stored(&*store, &schema, winner, "the greater hash wins in any order").await;
        }
    }
}

pub(super) async fn deletes_are_rows(place: &Place) {
    let store = place.open().await;
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    let delete = PlainRow::price(1, 10, 2, 0.0).deleted();
    upsert(&*store, &schema, &[PlainRow::price(1, 10, 1, 1.0), delete.clone()]).await;
    assert_stored(&*store, &schema, &delete, "a delete wins by the same rule").await;
    upsert(&*store, &schema, &[PlainRow::price(1, 9, 3, 2.0)]).await;
    store.flush().await.expect("flushed");
    assert_stored(
        &*store,
        &schema,
        &delete,
        "it stays, so that a late row does not come back",
    )
    .await;
    let reborn = PlainRow::price(1, 10, 3, 3.0);
    upsert(&*store, &schema, std::slice::from_ref(&reborn)).await;
    assert_stored(&*store, &schema, &reborn, "a later row wins over a delete").await;
}

pub(super) async fn nulls_are_not_merged(place: &Place) {
    let store = place.open().await;
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    let mut empty = PlainRow::price(1, 2, 2, 0.0);
    empty.features = vec![Value::Null, Value::String(String::new())];
    upsert(&*store, &schema, &[PlainRow::price(1, 1, 1, 1.0), empty.clone()]).await;
    store.flush().await.expect("flushed");
    assert_stored(
        &*store,
        &schema,
        &empty,
        "null in the winning row is null, and an empty string is one",
    )
    .await;
}

/// Rows with few keys, times and sequences, so that ties of every kind are frequent.
fn random_rows(random: &mut ChaCha8Rng, count: usize, keys: i64) -> Vec<PlainRow> {
    (0..count)
        .map(|_| {
            let id = random.random_range(0..keys);
            let price = f64::from(random.random_range(0..4));
            let row = PlainRow::price(id, random.random_range(-3..4), random.random_range(0..4), price);
            if random.random_bool(0.1) { row.deleted() } else { row }
        })
        .collect()
}

async fn assert_winners(
    store: &dyn OnlineStore,
    schema: &Arc<forebay_model::GroupSchema>,
    rows: &[PlainRow],
    why: &str,
) {
    let winners = winners(schema, rows);
    let keys: Vec<&[u8]> = winners.keys().map(Vec::as_slice).collect();
    let stored = read(store, schema, &keys).await;
    for (winner, stored) in winners.values().zip(stored) {
        assert_eq!(
            stored.as_deref(),
            Some(&*winner.packed(schema).row),
            "{why}: {winner:?}"
        );
    }
}

pub(super) async fn random_rows_agree_with_the_oracle(place: &Place) {
    let mut store = place.open().await;
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut all = Vec::new();
    for round in 0..40 {
        let mut rows = random_rows(&mut random, 100, 30);
        all.extend(rows.clone());
        // What was taken in before may come again.
        rows.extend((0..20).map(|_| all[random.random_range(0..all.len())].clone()));
        rows.shuffle(&mut random);
        upsert(&*store, &schema, &rows).await;
        match random.random_range(0..4) {
            0 => store.flush().await.expect("flushed"),
            1 => {
                store.flush().await.expect("flushed");
                drop(store);
                store = place.open().await;
            }
            _ => {}
        }
        assert_winners(&*store, &schema, &all, &format!("round {round}")).await;
    }
}

pub(super) async fn concurrent_writers_lose_nothing(place: &Place) {
    let store = place.open().await;
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let all = random_rows(&mut random, 8_000, 200);
    let writers = all.chunks(1_000).map(|rows| {
        let (store, schema, rows) = (store.clone(), schema.clone(), rows.to_vec());
        tokio::spawn(async move {
            for rows in rows.chunks(50) {
                upsert(&*store, &schema, rows).await;
                tokio::task::yield_now().await;
            }
            store.flush().await.expect("flushed");
        })
    });
    for writer in join_all(writers).await {
        writer.expect("a writer");
    }
    assert_winners(&*store, &schema, &all, "after eight writers").await;
}

pub(super) async fn rows_of_several_layouts_live_together(place: &Place) {
    let mut store = place.open().await;
    let (old, new) = (schemas::prices(0), schemas::prices(1));
    store.ensure(&old).await.expect("made");
    let mut grown = PlainRow::price(2, 1, 1, 2.0);
    grown.features.push(Value::Vector(vec![1.0, f32::NAN]));
    let ahead = store.upsert(&old, vec![grown.packed(&new)], None).await;
    assert!(
        matches!(ahead, Err(StorageError::NewerLayout { .. })),
        "a row of a layout that the writer's schema does not know is refused, never cut: {ahead:?}"
    );
    let before = PlainRow::price(1, 1, 1, 1.0);
    upsert(&*store, &old, std::slice::from_ref(&before)).await;
    store.ensure(&new).await.expect("grown");
    store.ensure(&old).await.expect("an older schema changes nothing");
    upsert(&*store, &new, std::slice::from_ref(&grown)).await;
    // Equal versions in different layouts: the hash does not see a feature that is null.
    let tied = PlainRow::price(2, 1, 1, 5.0);
    upsert(&*store, &old, std::slice::from_ref(&tied)).await;
    store.flush().await.expect("flushed");
    drop(store);
    store = place.open().await;
    assert_stored(&*store, &old, &before, "a row stays as it was written").await;
    let rows = [grown, tied];
    let winner = *winners(&new, &rows).values().next().expect("one key");
    let written_with = if winner.features.len() > 2 { &new } else { &old };
    assert_stored(&*store, written_with, winner, "the hash decides across layouts").await;
}
