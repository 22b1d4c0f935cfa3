//! What every registry store must do.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use forebay_model::{
    Timestamp,
    definitions::{Kind, ObjectId},
};
use futures::future::join_all;
use uuid::Uuid;

use super::Installation;
use crate::{Head, ManifestEntry, Published, RegistryStore, StoredObject};

type Place = dyn Installation<dyn RegistryStore>;

/// Runs the whole suite; `fresh` gives a place for an empty store each time.
pub async fn registry_store<I: Installation<dyn RegistryStore> + 'static>(fresh: impl AsyncFn() -> I) {
    an_empty_registry_has_the_default_head(&fresh().await).await;
    what_was_written_is_invisible_until_it_is_published(&fresh().await).await;
    only_the_expected_head_is_replaced(&fresh().await).await;
    revisions_are_immutable_and_all_kept(&fresh().await).await;
    concurrent_appliers_serialise(&fresh().await).await;
    the_log_tells_every_head_once(&fresh().await).await;
}

fn object(name: &str, revision: u64, apply_id: Uuid, content: &str) -> StoredObject {
    StoredObject {
        id: ObjectId::new(Kind::Domain, name),
        entry: ManifestEntry {
            revision,
            apply_id,
            deleted: false,
        },
        previous: None,
        written_at: Timestamp::from_micros(-1),
        content: content.to_owned(),
    }
}

/// The head after `before` with these objects in place.
fn after(before: &Head, apply_id: Uuid, objects: &[StoredObject]) -> Head {
    let mut head = before.clone();
    head.registry_revision += 1;
    head.apply_id = apply_id;
    head.published_at = Timestamp::from_micros(head.registry_revision as i64);
    head.manifest.next_group_id += 1;
    for object in objects {
        head.manifest.objects.insert(object.id.clone(), object.entry);
    }
    head
}

async fn objects_of(store: &dyn RegistryStore, head: &Head) -> Vec<StoredObject> {
    let ids: Vec<_> = head
        .manifest
        .objects
        .iter()
        .map(|(id, entry)| (id.clone(), *entry))
        .collect();
    let objects = store.objects(&ids).await.expect("objects");
    objects
        .into_iter()
        .map(|object| object.expect("a manifest points at what is there"))
        .collect()
}

async fn an_empty_registry_has_the_default_head(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.head().await.expect("a head"), Head::default());
    assert_eq!(store.log(0, 10).await.expect("a log"), []);
    let id = (
        ObjectId::new(Kind::Entity, "product"),
        object("", 1, Uuid::nil(), "").entry,
    );
    assert_eq!(store.objects(&[id]).await.expect("none"), [None]);
    store.write(&[]).await.expect("nothing is written");
}

async fn what_was_written_is_invisible_until_it_is_published(place: &Place) {
    let mut store = place.open().await;
    let apply = Uuid::from_u128(1);
    let objects = [
        object("a", 1, apply, "{}"),
        object("b", 1, apply, "{\"é\":\"\\u0000\"}"),
    ];
    store.write(&objects).await.expect("written");
    for _ in 0..2 {
        assert_eq!(
            store.head().await.expect("a head"),
            Head::default(),
            "nothing is visible"
        );
        drop(store);
        store = place.open().await;
    }
    let head = after(&Head::default(), apply, &objects);
    assert_eq!(store.publish(0, &head).await.expect("published"), Published::Done);
    for _ in 0..2 {
        assert_eq!(store.head().await.expect("a head"), head);
        assert_eq!(objects_of(&*store, &head).await, objects, "all of it is visible");
        drop(store);
        store = place.open().await;
    }
}

async fn only_the_expected_head_is_replaced(place: &Place) {
    let store = place.open().await;
    let first = after(&Head::default(), Uuid::from_u128(1), &[]);
    let rival = after(&Head::default(), Uuid::from_u128(2), &[]);
    assert_eq!(store.publish(0, &first).await.expect("published"), Published::Done);
    let moved = store.publish(0, &rival).await.expect("an answer");
    assert_eq!(
        moved,
        Published::Moved(Box::new(first.clone())),
        "the loser learns of the winner"
    );
    assert_eq!(store.head().await.expect("a head"), first);
    assert!(
        matches!(store.publish(5, &rival).await.expect("an answer"), Published::Moved(_)),
        "nor a head to come"
    );
    assert_eq!(
        store.log(0, 10).await.expect("a log"),
        [first],
        "a publication that lost is not in the log"
    );
}

async fn revisions_are_immutable_and_all_kept(place: &Place) {
    let store = place.open().await;
    let mut head = Head::default();
    let mut all = Vec::new();
    for revision in 1..=5 {
        // An apply that lost, with the same revision number, does no harm.
        let lost = object("a", revision, Uuid::from_u128(u128::from(revision) + 100), "lost");
        let apply = Uuid::from_u128(u128::from(revision));
        let mut won = object("a", revision, apply, &format!("content {revision}"));
        won.previous = all.last().map(|object: &StoredObject| object.entry);
        won.entry.deleted = revision == 5;
        store.write(&[lost]).await.expect("written");
        store.write(std::slice::from_ref(&won)).await.expect("written");
        let next = after(&head, apply, std::slice::from_ref(&won));
        assert_eq!(
            store.publish(head.registry_revision, &next).await.expect("published"),
            Published::Done
        );
        head = next;
        all.push(won);
    }
    let ids: Vec<_> = all
        .iter()
        .rev()
        .map(|object| (object.id.clone(), object.entry))
        .collect();
    let stored = store.objects(&ids).await.expect("objects");
    assert_eq!(
        stored,
        all.iter().rev().cloned().map(Some).collect::<Vec<_>>(),
        "in the order asked"
    );
}

/// Ten appliers, each of which adds objects of its own until it has published five times: no publication is lost, and a reader sees whole applies only.
async fn concurrent_appliers_serialise(place: &Place) {
    const APPLIERS: u128 = 10;
    const APPLIES: u128 = 5;
    let store = place.open().await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (store, done) = (store.clone(), done.clone());
        tokio::spawn(async move {
            let mut last = 0;
            while !done.load(Ordering::SeqCst) {
                let head = store.head().await.expect("a head");
                assert!(head.registry_revision >= last, "the registry does not go back");
                last = head.registry_revision;
                let objects = objects_of(&*store, &head).await;
                let applies: BTreeSet<_> = objects.iter().map(|object| object.entry.apply_id).collect();
                assert_eq!(
                    objects.len(),
                    applies.len() * 3,
                    "an apply's three objects are there together"
                );
                assert_eq!(applies.len() as u64, head.registry_revision, "and no apply is missing");
                tokio::task::yield_now().await;
            }
        })
    };
    let appliers = (0..APPLIERS).map(|applier| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut conflicts = 0;
            for number in 0..APPLIES {
                let mut base = store.head().await.expect("a head");
                loop {
                    let apply = Uuid::from_u128((applier * 100 + number) * 10_000 + conflicts);
                    let objects: Vec<_> = (0..3)
                        .map(|part| object(&format!("o{applier}.{number}.{part}"), 1, apply, "{}"))
                        .collect();
                    store.write(&objects).await.expect("written");
                    let head = after(&base, apply, &objects);
                    match store.publish(base.registry_revision, &head).await.expect("an answer") {
                        Published::Done => break,
                        Published::Moved(current) => {
                            assert!(current.registry_revision > base.registry_revision, "it moved on");
                            base = *current;
                            conflicts += 1;
                        }
                    }
                }
            }
        })
    });
    for applier in join_all(appliers.collect::<Vec<_>>()).await {
        applier.expect("an applier");
    }
    done.store(true, Ordering::SeqCst);
    reader.await.expect("the reader");
    let head = store.head().await.expect("a head");
    assert_eq!(
        u128::from(head.registry_revision),
        APPLIERS * APPLIES,
        "each publication counts once"
    );
    assert_eq!(
        head.manifest.objects.len() as u128,
        APPLIERS * APPLIES * 3,
        "nothing is lost"
    );
    assert_eq!(u128::from(head.manifest.next_group_id), APPLIERS * APPLIES);
}

async fn the_log_tells_every_head_once(place: &Place) {
    let mut store = place.open().await;
    let mut heads = vec![Head::default()];
    for number in 1..=25 {
        let head = after(heads.last().expect("one"), Uuid::from_u128(number), &[]);
        store.publish(number as u64 - 1, &head).await.expect("published");
        heads.push(head);
    }
    heads.remove(0);
    for _ in 0..2 {
        assert_eq!(store.log(0, 100).await.expect("a log"), heads);
        assert_eq!(store.log(10, 5).await.expect("a log"), heads[10..15]);
        assert_eq!(store.log(25, 5).await.expect("a log"), []);
        drop(store);
        store = place.open().await;
    }
}
