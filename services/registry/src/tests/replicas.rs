//! Several registries over one store, and what they tell everybody.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_catalog::{Announced, Catalog, Snapshot};
use forebay_storage::{Announcements, Channel, Heard, ProcessAnnouncements, RegistryStore, StorageError};
use futures::{StreamExt, stream::BoxStream};
use serde_json::json;
use tokio::sync::watch;

use super::{HOUSE, names};
use crate::testing::{Failure, Running, Shared, answer};

/// A service that holds a copy of the registry: it listens, then fetches, then follows.
struct Follower {
    catalog: Arc<Catalog>,
    heard: watch::Receiver<Vec<Announced>>,
}

impl Follower {
    async fn of(announcements: &dyn Announcements, registry: &Running) -> Self {
        let mut heard = announcements.listen(Channel::RegistryChanges).await.expect("a channel");
        let catalog = Arc::new(Catalog::new(fetch(registry).await));
        let (sender, receiver) = watch::channel(Vec::new());
        let (following, client, url) = (
            Arc::clone(&catalog),
            registry.client.clone(),
            registry.server.url("/v1/changes/snapshot"),
        );
        tokio::spawn(async move {
            while let Some(Heard::Message(message)) = heard.next().await {
                let announced = Announced::decode(&message).expect("a message");
                if following.hear(&announced).is_err() {
                    let sent = client
                        .get(&url)
                        .send()
                        .await
                        .expect("an answer")
                        .json()
                        .await
                        .expect("JSON");
                    following.replace(Snapshot::from_wire(sent).expect("a snapshot"));
                }
                sender.send_modify(|all| all.push(announced));
            }
        });
        Self {
            catalog,
            heard: receiver,
        }
    }

    async fn until(&self, what: &str, reached: impl Fn(&Snapshot) -> bool) {
        until(what, || reached(&self.catalog.current())).await;
    }

    fn revisions(&self) -> Vec<u64> {
        let heard = self.heard.borrow();
        let changes = heard.iter().filter(|heard| matches!(heard, Announced::Changes { .. }));
        changes.map(Announced::registry_revision).collect()
    }
}

async fn fetch(registry: &Running) -> Snapshot {
    let sent = registry.read("/v1/changes/snapshot").await;
    Snapshot::from_wire(serde_json::from_value(sent).expect("a snapshot")).expect("a snapshot")
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    for _ in 0..500 {
        if reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come to this: {what}");
}

/// A channel that takes nothing, as for a process that dies right after its publication.
struct Silent;

#[async_trait]
impl Announcements for Silent {
    async fn announce(&self, _: Channel, _: Bytes) -> forebay_storage::Result<()> {
        Err(StorageError::TimedOut { what: "the channel" })
    }

    async fn listen(&self, _: Channel) -> forebay_storage::Result<BoxStream<'static, Heard>> {
        Err(StorageError::TimedOut { what: "the channel" })
    }
}

/// Gives every message to its listeners a second time, later and out of order.
struct OutOfOrder {
    channel: ProcessAnnouncements,
    kept: parking_lot::Mutex<Vec<Bytes>>,
}

impl OutOfOrder {
    async fn let_go(&self) {
        let kept = std::mem::take(&mut *self.kept.lock());
        for message in kept.iter().rev().chain(&kept) {
            let sent = self.channel.announce(Channel::RegistryChanges, message.clone());
            sent.await.expect("a channel");
        }
    }
}

#[async_trait]
impl Announcements for OutOfOrder {
    async fn announce(&self, _: Channel, message: Bytes) -> forebay_storage::Result<()> {
        let waiting = {
            let mut kept = self.kept.lock();
            kept.push(message);
            kept.len()
        };
        if waiting == 3 {
            self.let_go().await;
        }
        Ok(())
    }

    async fn listen(&self, channel: Channel) -> forebay_storage::Result<BoxStream<'static, Heard>> {
        self.channel.listen(channel).await
    }
}

#[tokio::test]
async fn the_snapshot_is_the_registry_and_has_an_etag() {
    let registry = Running::start().await;
    registry.applied(HOUSE).await;
    let response = registry.get("/v1/changes/snapshot").send().await.expect("an answer");
    let etag = response.headers()["etag"].clone();
    assert_eq!(etag, "\"1\"");
    let again = registry.get("/v1/changes/snapshot").header("if-none-match", &etag);
    assert_eq!(again.send().await.expect("an answer").status(), 304);

    let copy = fetch(&registry).await;
    let own = registry.catalog.current();
    assert_eq!(copy.revision(), 1);
    assert_eq!(copy.readiness(), own.readiness());
    assert!(copy.groups().all(|group| group.is_ready()));
    assert_eq!(copy.graph().to_dot(), own.graph().to_dot());

    registry
        .tables
        .failures
        .store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
    registry
        .applied("kind: FeatureGroup\nname: d.more\nentities: [e]\nfeatures: [{name: x, type: int64}]")
        .await;
    let response = registry.get("/v1/changes/snapshot").send().await.expect("an answer");
    let waiting = response.headers()["etag"].to_str().expect("text").to_owned();
    assert!(waiting.starts_with("\"2-"), "{waiting}");
    registry.tables.failures.store(0, std::sync::atomic::Ordering::SeqCst);
    until("the group is ready", || {
        registry.catalog.current().groups().all(|group| group.is_ready())
    })
    .await;
    let request = registry.get("/v1/changes/snapshot").header("if-none-match", waiting);
    assert_eq!(request.send().await.expect("an answer").headers()["etag"], "\"2\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_registries_that_apply_at_once_lose_nothing() {
    let shared = Shared::default();
    let mut registries = Vec::new();
    for _ in 0..10 {
        registries.push(Running::beside(&shared).await);
    }
    let follower = Follower::of(&*shared.announcements, &registries[0]).await;
    let mut applies = Vec::new();
    for (index, registry) in registries.iter().enumerate() {
        for round in 0..3 {
            let group = format!(
                "kind: Domain\nname: d{index}_{round}\n---\nkind: Entity\nname: e{index}_{round}\ndomain: d{index}_{round}\nkeys: [{{name: k, type: int64}}]\n---\n\
                 kind: FeatureGroup\nname: d{index}_{round}.g\nentities: [e{index}_{round}]\nfeatures: [{{name: x, type: int64}}]\n"
            );
            applies.push(tokio::spawn(answer(registry.post_yaml("/v1/apply", &group), 200)));
        }
    }
    let mut revisions = Vec::new();
    for apply in applies {
        let answer = apply.await.expect("it ends");
        revisions.extend(answer["registry_revision"].as_u64());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=30).collect::<Vec<_>>());

    let is_whole = |snapshot: &Snapshot| {
        snapshot.revision() == 30 && snapshot.groups().count() == 30 && snapshot.groups().all(|group| group.is_ready())
    };
    follower.until("the follower has everything", is_whole).await;
    for registry in &registries {
        until("every registry has everything", || {
            is_whole(&registry.catalog.current())
        })
        .await;
    }
    let mut ids: Vec<_> = follower
        .catalog
        .current()
        .groups()
        .map(|group| group.schema.id.0)
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=30).collect::<Vec<_>>(), "every group has a number of its own");
    let log = shared.store.log(0, 100).await.expect("a log");
    assert!(log.iter().map(|head| head.registry_revision).eq(1..=30));
    let mut heard = follower.revisions();
    heard.dedup();
    assert!(heard.is_sorted(), "{heard:?}");
}

#[tokio::test]
async fn a_publication_that_nobody_heard_of_is_announced_by_another_registry() {
    let shared = Shared::default();
    let other = Running::beside(&shared).await;
    let follower = Follower::of(&*shared.announcements, &other).await;
    let dying = Running::with(
        shared.store.clone(),
        shared.tables.clone(),
        Arc::new(Silent),
        shared.leases.clone(),
    )
    .await;
    dying.applied(HOUSE).await;
    dying.server.stop().await;
    assert_eq!(follower.catalog.current().revision(), 0, "nobody told it");
    // Reading the head, as it does from time to time, is enough.
    other.read("/v1/changes/snapshot").await;
    follower
        .until("it was told", |snapshot| {
            snapshot.revision() == 1 && snapshot.groups().all(|group| group.is_ready())
        })
        .await;
    assert_eq!(follower.revisions(), [1], "by the whole change set");
}

#[tokio::test]
async fn a_publication_that_nobody_heard_of_is_announced_by_the_next_start() {
    let shared = Shared::default();
    let dying = Running::with(
        shared.store.clone(),
        shared.tables.clone(),
        Arc::new(Silent),
        shared.leases.clone(),
    )
    .await;
    let mut heard = shared
        .announcements
        .listen(Channel::RegistryChanges)
        .await
        .expect("a channel");
    dying.applied(HOUSE).await;
    dying.applied("kind: Domain\nname: x").await;
    dying.server.stop().await;
    let _registry = Running::beside(&shared).await;
    let catalog = Catalog::default();
    while catalog.current().revision() < 2 {
        let message = match heard.next().await {
            Some(Heard::Message(message)) => message,
            other => panic!("{other:?}"),
        };
        let announced = Announced::decode(&message).expect("a message");
        catalog.hear(&announced).expect("in order and whole");
    }
    assert_eq!(catalog.current().groups().count(), 2);
}

#[tokio::test]
async fn announcements_out_of_order_and_repeated_lead_to_the_same() {
    let shared = Shared::default();
    let channel = Arc::new(OutOfOrder {
        channel: ProcessAnnouncements::default(),
        kept: Default::default(),
    });
    let store = shared.store.clone();
    let one = Running::with(
        store.clone(),
        shared.tables.clone(),
        channel.clone(),
        shared.leases.clone(),
    )
    .await;
    let two = Running::with(store, shared.tables.clone(), channel.clone(), shared.leases.clone()).await;
    let follower = Follower::of(&*channel, &one).await;
    for round in 0..4 {
        one.applied(&format!("kind: Domain\nname: a{round}")).await;
        two.applied(&format!("kind: Domain\nname: b{round}")).await;
    }
    follower
        .until("everything arrived", |snapshot| snapshot.revision() == 8)
        .await;
    let own: Vec<_> = follower
        .catalog
        .current()
        .entries()
        .map(|(id, _)| id.name.clone())
        .collect();
    assert_eq!(own, ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]);
}

#[tokio::test]
async fn what_one_registry_makes_ready_is_ready_everywhere() {
    let shared = Shared::default();
    let one = Running::beside(&shared).await;
    let two = Running::beside(&shared).await;
    let follower = Follower::of(&*shared.announcements, &two).await;
    // The apply's own attempts fail, and some that follow.
    shared.tables.failures.store(5, std::sync::atomic::Ordering::SeqCst);
    let applied = one.applied(HOUSE).await;
    assert_eq!(applied["pending"], json!(["d.raw", "d.sum"]));
    let ready = |snapshot: &Snapshot| snapshot.groups().count() == 2 && snapshot.groups().all(|group| group.is_ready());
    follower.until("ready at the follower", ready).await;
    until("ready at both", || {
        ready(&one.catalog.current()) && ready(&two.catalog.current())
    })
    .await;
}

#[tokio::test]
async fn what_another_registry_made_is_found_at_once() {
    // Without a channel between them.
    let one = Running::start().await;
    let two = Running::over(one.store.clone(), one.tables.clone()).await;
    one.applied(HOUSE).await;
    assert_eq!(two.read("/v1/groups/d.raw").await["revision"], 1);
    assert_eq!(two.read("/v1/features/d.raw.a").await["revision"], 1);
    one.applied(&HOUSE.replace(
        "{name: b, type: int64}",
        "{name: b, type: int64}, {name: c, type: int64}",
    ))
    .await;
    let plan = answer(two.post_yaml("/v1/plan", "kind: Domain\nname: d"), 200).await;
    assert_eq!(plan["registry_revision"], 2);
    assert_eq!(two.read("/v1/groups/d.raw").await["revision"], 2);
}

#[tokio::test]
async fn a_publication_is_known_by_its_apply_whatever_its_answer_was() {
    let one = Running::start().await;
    let two = Running::over(one.store.clone(), one.tables.clone()).await;
    let apply =
        |registry: &Running, name: &str| registry.post_yaml("/v1/apply", &format!("kind: Domain\nname: {name}"));
    // It was made, and nobody knows: the next attempt finds it.
    one.store.failing.lock().push(Failure::AfterIt);
    assert_eq!(answer(apply(&one, "a"), 200).await["registry_revision"], 1);
    // It was not: the next attempt makes it.
    one.store.failing.lock().push(Failure::BeforeIt);
    assert_eq!(answer(apply(&one, "b"), 200).await["registry_revision"], 2);
    // It was made, and another registry went on from it before anybody looked.
    one.store.failing.lock().push(Failure::AfterIt);
    let (first, second) = tokio::join!(answer(apply(&one, "c"), 200), async {
        until("the first is in", || one.store.revision() == 3).await;
        answer(apply(&two, "d"), 200).await
    });
    assert_eq!(first["registry_revision"], 3);
    assert_eq!(second["registry_revision"], 4);
    assert_eq!(names(&two.read("/v1/domains").await), ["a", "b", "c", "d"]);
}
