use std::sync::Arc;

use forebay_model::{Generation, GroupId, GroupSchema, Timestamp};

use super::{Installation, OnlineStore, PlainRow, assert_stored, read, upsert};
use crate::{Progress, StorageError, conformance::schemas};

pub(super) async fn sweeping_removes_old_rows_only(place: &dyn Installation<dyn OnlineStore>) {
    let store = place.open().await;
    let schema = schemas::prices(0);
    let other = Arc::new(GroupSchema {
        id: GroupId(8),
        name: "shop.others".parse().expect("a group"),
        ..(*schema).clone()
    });
    for schema in [&schema, &other] {
        store.ensure(schema).await.expect("made");
        let rows: Vec<_> = (0..100).map(|id| PlainRow::price(id, id, 1, 1.0)).collect();
        upsert(&*store, schema, &rows).await;
    }
    let (mut removed, mut steps, mut from) = (0, 0, None);
    loop {
        let before = Timestamp::from_micros(40);
        let swept = store.sweep(&schema, before, from, 30).await.expect("swept");
        assert!(swept.removed <= 30, "no more than it may look at");
        removed += swept.removed;
        steps += 1;
        from = swept.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(removed, 40);
    assert!(steps >= 3, "100 rows are not looked at in {steps} steps of 30");
    for id in 0..100 {
        let row = PlainRow::price(id, id, 1, 1.0);
        if id < 40 {
            let key = row.packed(&schema).key;
            assert_eq!(read(&*store, &schema, &[&key]).await, [None], "key {id} was old");
        } else {
            assert_stored(&*store, &schema, &row, "it was not old").await;
        }
        assert_stored(&*store, &other, &row, "another group is not swept").await;
    }
}

pub(super) async fn clearing_forgets_rows_and_progress(place: &dyn Installation<dyn OnlineStore>) {
    let mut store = place.open().await;
    let schema = schemas::prices(0);
    let next = Arc::new(GroupSchema {
        generation: Generation(1),
        ..(*schema).clone()
    });
    let progress = |consumer: &str| {
        Some(Progress {
            consumer: consumer.to_owned(),
            position: 5,
        })
    };
    store.ensure(&schema).await.expect("made");
    store.ensure(&next).await.expect("made");
    let (stored, overlaid) = (PlainRow::price(1, 1, 1, 1.0), PlainRow::price(2, 1, 1, 1.0));
    upsert(&*store, &next, std::slice::from_ref(&stored)).await;
    store
        .upsert(&schema, vec![stored.packed(&schema)], progress("commits/7.0"))
        .await
        .expect("upserted");
    store
        .upsert(&schema, Vec::new(), progress("commits/8.0"))
        .await
        .expect("upserted");
    store.flush().await.expect("flushed");
    store
        .upsert(&schema, vec![overlaid.packed(&schema)], progress("commits/7.0"))
        .await
        .expect("upserted");
    store.clear(&schema, "commits/7.0").await.expect("cleared");
    for reopened in [false, true] {
        let keys = [stored.packed(&schema).key, overlaid.packed(&schema).key];
        assert_eq!(
            read(&*store, &schema, &[&keys[0], &keys[1]]).await,
            [None, None],
            "reopened: {reopened}"
        );
        assert_eq!(
            store.progress("commits/7.0").await.expect("told"),
            None,
            "it starts anew"
        );
        assert_eq!(
            store.progress("commits/8.0").await.expect("told"),
            Some(5),
            "another's stays"
        );
        assert_stored(&*store, &next, &stored, "another generation stays").await;
        store.flush().await.expect("flushed");
        drop(store);
        store = place.open().await;
    }
    let older = PlainRow::price(1, 0, 0, 3.0);
    upsert(&*store, &schema, std::slice::from_ref(&older)).await;
    assert_stored(&*store, &schema, &older, "nothing that was cleared wins any more").await;
}

pub(super) async fn purging_removes_the_group(place: &dyn Installation<dyn OnlineStore>) {
    let mut store = place.open().await;
    let schema = schemas::prices(0);
    store.purge(&schema).await.expect("there is nothing, and that is well");
    store.ensure(&schema).await.expect("made");
    let row = PlainRow::price(1, 1, 1, 1.0);
    upsert(&*store, &schema, std::slice::from_ref(&row)).await;
    store.flush().await.expect("flushed");
    store.purge(&schema).await.expect("purged");
    store.purge(&schema).await.expect("purged already");
    drop(store);
    store = place.open().await;
    let refused = store.upsert(&schema, vec![row.packed(&schema)], None).await;
    assert!(
        matches!(refused, Err(StorageError::NotProvisioned { .. })),
        "{refused:?}"
    );
    store.ensure(&schema).await.expect("made anew");
    let key = row.packed(&schema).key;
    assert_eq!(read(&*store, &schema, &[&key]).await, [None], "no row comes back");
}
