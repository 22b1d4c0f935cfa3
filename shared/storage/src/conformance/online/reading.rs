use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use forebay_model::{GroupId, GroupSchema};
use forebay_rows::RowHead;

use super::{Installation, OnlineAnswer, OnlineRead, OnlineStore, PlainRow, later, read, upsert};
use crate::{StorageError, conformance::schemas};

fn prices_of(id: u32) -> Arc<GroupSchema> {
    Arc::new(GroupSchema {
        name: format!("shop.p{id}").parse().expect("a group"),
        id: GroupId(id),
        ..(*schemas::prices(0)).clone()
    })
}

fn read_of(schema: &Arc<GroupSchema>, ids: &[i64]) -> OnlineRead {
    let mut read = OnlineRead::new(schema.clone());
    for &id in ids {
        read.push(&PlainRow::price(id, 0, 0, 0.0).packed(schema).key);
    }
    read
}

pub(super) async fn many_groups_in_one_request(place: &dyn Installation<dyn OnlineStore>) {
    let store = place.open().await;
    let groups: Vec<_> = (1..=5).map(prices_of).collect();
    for (number, schema) in (0..).zip(&groups) {
        store.ensure(schema).await.expect("made");
        upsert(&*store, schema, &[PlainRow::price(number, 1, 1, number as f64)]).await;
        if number % 2 == 0 {
            store.flush().await.expect("flushed");
        }
    }
    // Each group is asked for all keys, in another order, one of them twice; one read asks for none.
    let mut reads: Vec<_> = groups
        .iter()
        .map(|schema| read_of(schema, &[4, 3, 2, 1, 0, 4]))
        .collect();
    reads.insert(2, OnlineRead::new(groups[0].clone()));
    let mut answer = OnlineAnswer::default();
    store.read(&reads, later(), &mut answer).await;
    for (number, schema) in groups.iter().enumerate() {
        let place = if number < 2 { number } else { number + 1 };
        for (index, id) in [4, 3, 2, 1, 0, 4].into_iter().enumerate() {
            let expected = (id == number as i64).then(|| PlainRow::price(id, 1, 1, id as f64).packed(schema).row);
            let found = answer.row(place, index).expect("the group is read");
            assert_eq!(found, expected.as_deref(), "group {number}, key {id}");
        }
    }
}

pub(super) async fn a_group_fails_alone(place: &dyn Installation<dyn OnlineStore>) {
    let store = place.open().await;
    let (made, unmade) = (prices_of(1), prices_of(2));
    store.ensure(&made).await.expect("made");
    let row = PlainRow::price(1, 1, 1, 1.0);
    upsert(&*store, &made, std::slice::from_ref(&row)).await;
    let refused = store.upsert(&unmade, vec![row.packed(&unmade)], None).await;
    assert!(
        matches!(refused, Err(StorageError::NotProvisioned { .. })),
        "{refused:?}"
    );
    let mut answer = OnlineAnswer::default();
    let reads = [read_of(&unmade, &[1]), read_of(&made, &[1]), read_of(&unmade, &[1, 2])];
    store.read(&reads, later(), &mut answer).await;
    for group in [0, 2] {
        let outcome = answer.outcome(group);
        assert!(
            matches!(outcome, Err(StorageError::NotProvisioned { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(answer.row(1, 0).expect("it is read"), Some(&*row.packed(&made).row));
    let mut late = OnlineAnswer::default();
    let passed = Instant::now() - Duration::from_millis(1);
    store.read(&[read_of(&made, &[1])], passed, &mut late).await;
    assert!(
        matches!(late.outcome(0), Err(StorageError::TimedOut { .. })),
        "a deadline that has passed is told"
    );
}

/// A reader never sees a key's row go back in time, whatever the store does with it meanwhile.
pub(super) async fn readers_see_what_was_upserted_while_it_is_merged(place: &dyn Installation<dyn OnlineStore>) {
    const KEYS: i64 = 50;
    let store = place.open().await;
    let schema = prices_of(1);
    store.ensure(&schema).await.expect("made");
    let upserted = Arc::new(AtomicI64::new(0));
    let writer = {
        let (store, schema, upserted) = (store.clone(), schema.clone(), upserted.clone());
        tokio::spawn(async move {
            for time in 1..=60 {
                let rows: Vec<_> = (0..KEYS)
                    .map(|id| PlainRow::price(id, time, time, time as f64))
                    .collect();
                upsert(&*store, &schema, &rows).await;
                upserted.store(time, Ordering::SeqCst);
                if time % 3 == 0 {
                    store.flush().await.expect("flushed");
                }
                tokio::task::yield_now().await;
            }
        })
    };
    let keys: Vec<_> = (0..KEYS)
        .map(|id| PlainRow::price(id, 0, 0, 0.0).packed(&schema).key)
        .collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| &**key).collect();
    while !writer.is_finished() {
        let at_least = upserted.load(Ordering::SeqCst);
        for row in read(&*store, &schema, &keys).await {
            let time = row.map_or(0, |row| RowHead::read(&row).expect("a row").event_time.micros());
            assert!(time >= at_least, "a reader saw {time} after {at_least} was upserted");
        }
        tokio::task::yield_now().await;
    }
    writer.await.expect("the writer");
}
