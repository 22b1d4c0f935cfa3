//! What every run store must do.

use futures::future::join_all;
use uuid::Uuid;

use super::Installation;
use crate::{RunStore, Saved, StoredRun};

type Place = dyn Installation<dyn RunStore>;

/// Runs the whole suite; `fresh` gives a place for an empty store each time.
pub async fn run_store<I: Installation<dyn RunStore> + 'static>(fresh: impl AsyncFn() -> I) {
    runs_are_saved_version_by_version(&fresh().await).await;
    one_of_many_savers_wins(&fresh().await).await;
    runs_are_listed_newest_first(&fresh().await).await;
    what_is_unfinished_is_found_after_reopening(&fresh().await).await;
    marks_are_kept(&fresh().await).await;
}

fn run(number: u128, version: u64, finished: bool) -> StoredRun {
    StoredRun {
        id: Uuid::from_u128(number),
        version,
        finished,
        content: format!("{{\"run\":{number},\"version\":{version},\"é\":\"\\u0000\"}}"),
    }
}

async fn runs_are_saved_version_by_version(place: &Place) {
    let mut store = place.open().await;
    assert_eq!(store.get(Uuid::from_u128(1)).await.expect("none"), None);
    assert_eq!(
        store.save(&run(1, 2, false)).await.expect("an answer"),
        Saved::Conflict,
        "there is no version 1"
    );
    assert_eq!(store.save(&run(1, 1, false)).await.expect("saved"), Saved::Done);
    assert_eq!(
        store.save(&run(1, 1, false)).await.expect("an answer"),
        Saved::Conflict,
        "it is there"
    );
    assert_eq!(
        store.save(&run(1, 3, false)).await.expect("an answer"),
        Saved::Conflict,
        "one is missing"
    );
    assert_eq!(store.save(&run(1, 2, true)).await.expect("saved"), Saved::Done);
    for _ in 0..2 {
        assert_eq!(
            store.get(Uuid::from_u128(1)).await.expect("a run"),
            Some(run(1, 2, true))
        );
        drop(store);
        store = place.open().await;
    }
}

async fn one_of_many_savers_wins(place: &Place) {
    let store = place.open().await;
    for version in 1..=10 {
        let savers = (0..8).map(|saver| {
            let store = store.clone();
            let mut run = run(1, version, false);
            run.content = saver.to_string();
            tokio::spawn(async move { (saver, store.save(&run).await.expect("an answer")) })
        });
        let mut winners = Vec::new();
        for saver in join_all(savers.collect::<Vec<_>>()).await {
            let (saver, saved) = saver.expect("a saver");
            if saved == Saved::Done {
                winners.push(saver.to_string());
            }
        }
        let stored = store
            .get(Uuid::from_u128(1))
            .await
            .expect("a run")
            .expect("it is there");
        assert_eq!(
            winners,
            [stored.content],
            "one saver of version {version} wins, and it is its content"
        );
    }
}

async fn runs_are_listed_newest_first(place: &Place) {
    let store = place.open().await;
    for number in [3, 1, 5, 2, 4] {
        store.save(&run(number, 1, number % 2 == 0)).await.expect("saved");
    }
    let numbers = |runs: Vec<StoredRun>| runs.into_iter().map(|run| run.id.as_u128()).collect::<Vec<_>>();
    assert_eq!(numbers(store.list(None, 10).await.expect("runs")), [5, 4, 3, 2, 1]);
    assert_eq!(numbers(store.list(None, 2).await.expect("runs")), [5, 4]);
    assert_eq!(
        numbers(store.list(Some(Uuid::from_u128(4)), 2).await.expect("runs")),
        [3, 2],
        "a page further"
    );
    assert_eq!(
        numbers(store.list(Some(Uuid::from_u128(1)), 2).await.expect("runs")),
        []
    );
    let removed = store.remove_finished(Uuid::from_u128(4)).await.expect("removed");
    assert_eq!(removed, 1, "finished and older: run 2");
    assert_eq!(numbers(store.list(None, 10).await.expect("runs")), [5, 4, 3, 1]);
}

async fn what_is_unfinished_is_found_after_reopening(place: &Place) {
    let mut store = place.open().await;
    for number in 1..=6 {
        store.save(&run(number, 1, false)).await.expect("saved");
    }
    for number in [2, 4] {
        store.save(&run(number, 2, true)).await.expect("saved");
    }
    for _ in 0..2 {
        let unfinished = store.unfinished().await.expect("runs");
        assert_eq!(
            unfinished,
            [1, 3, 5, 6].map(|number| run(number, 1, false)),
            "oldest first"
        );
        drop(store);
        store = place.open().await;
    }
    store.save(&run(2, 3, false)).await.expect("saved");
    assert_eq!(
        store.unfinished().await.expect("runs").len(),
        5,
        "a run that was resumed is unfinished again"
    );
}

async fn marks_are_kept(place: &Place) {
    let mut store = place.open().await;
    assert_eq!(store.mark("listings").await.expect("none"), None);
    store.set_mark("listings", "1").await.expect("put");
    store.set_mark("listings", "2").await.expect("put");
    store.set_mark("clicks", "").await.expect("put");
    for _ in 0..2 {
        assert_eq!(store.mark("listings").await.expect("a mark").as_deref(), Some("2"));
        assert_eq!(store.mark("clicks").await.expect("a mark").as_deref(), Some(""));
        drop(store);
        store = place.open().await;
    }
}
