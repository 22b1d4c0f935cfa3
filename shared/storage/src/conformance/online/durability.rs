use std::sync::Arc;

use forebay_model::{GroupId, GroupSchema};

use super::{Installation, OnlineStore, PlainRow, assert_stored, upsert};
use crate::{Progress, conformance::schemas};

pub(super) async fn what_was_flushed_is_there_again(place: &dyn Installation<dyn OnlineStore>) {
    let store = place.open().await;
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    let rows: Vec<_> = (0..500)
        .map(|id| PlainRow::price(id, id - 250, id, id as f64))
        .collect();
    upsert(&*store, &schema, &rows).await;
    store.flush().await.expect("flushed");
    drop(store);
    let store = place.open().await;
    for row in &rows {
        assert_stored(&*store, &schema, row, "after it was opened again").await;
    }
    store.ensure(&schema).await.expect("made again");
    assert_stored(&*store, &schema, &rows[0], "making it again loses nothing").await;
}

pub(super) async fn progress_never_runs_ahead_of_its_rows(place: &dyn Installation<dyn OnlineStore>) {
    let progress = |consumer: &str, position| {
        Some(Progress {
            consumer: consumer.to_owned(),
            position,
        })
    };
    let mut store = place.open().await;
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    let without_table = Arc::new(GroupSchema {
        id: GroupId(9),
        ..GroupSchema::clone(&schema)
    });
    assert_eq!(store.progress("rows/7.0/0").await.expect("told"), None, "none was made");
    for position in 1..=20 {
        let row = PlainRow::price(position, 1, 1, 1.0).packed(&schema);
        store
            .upsert(&schema, vec![row], progress("rows/7.0/0", position))
            .await
            .expect("upserted");
        store
            .upsert(&without_table, Vec::new(), progress("commits/9.0", -position))
            .await
            .expect("progress without rows");
        if position % 5 == 0 {
            store.flush().await.expect("flushed");
            assert_eq!(
                store.progress("rows/7.0/0").await.expect("told"),
                Some(position),
                "flushed with its rows"
            );
            assert_eq!(
                store.progress("commits/9.0").await.expect("told"),
                Some(-position),
                "each consumer has its own"
            );
        }
        let durable = store.progress("rows/7.0/0").await.expect("told").unwrap_or(0);
        assert!(durable <= position, "{durable} was never reached");
        drop(store);
        store = place.open().await;
        let durable = store.progress("rows/7.0/0").await.expect("told").unwrap_or(0);
        for id in 1..=durable {
            assert_stored(
                &*store,
                &schema,
                &PlainRow::price(id, 1, 1, 1.0),
                "below the durable progress",
            )
            .await;
        }
    }
}
