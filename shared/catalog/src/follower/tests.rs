use std::{
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_api::changes::RegistrySnapshot;
use forebay_model::{GroupId, LayoutNumber};
use forebay_storage::{Announcements, Channel, Heard, ProcessAnnouncements, Result};
use futures::{StreamExt, stream::BoxStream};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Follower, Pace, SnapshotSource, SourceError};
use crate::{
    Announced, Catalog, ChangeSet, Snapshot,
    tests::{snapshot, update},
};

/// A registry that can be paused: what it holds, and how often it was asked.
struct Registry {
    held: Mutex<Arc<Snapshot>>,
    is_down: AtomicBool,
    asked: AtomicU32,
    announcements: ProcessAnnouncements,
}

#[async_trait]
impl SnapshotSource for Registry {
    async fn fetch(&self, known: Option<u64>) -> Result<Option<RegistrySnapshot>, SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_down.load(Ordering::Relaxed) {
            return Err(SourceError::Unavailable("connection refused".to_owned()));
        }
        let held = self.held.lock().clone();
        match known {
            Some(known) if known == held.revision() => Ok(None),
            _ => Ok(Some(held.to_wire()?)),
        }
    }
}

#[async_trait]
impl Announcements for Registry {
    async fn announce(&self, channel: Channel, message: Bytes) -> Result<()> {
        self.announcements.announce(channel, message).await
    }

    async fn listen(&self, channel: Channel) -> Result<BoxStream<'static, Heard>> {
        let heard = self.announcements.listen(channel).await?;
        // An empty message stands for lost ones.
        Ok(heard
            .map(|heard| match heard {
                Heard::Message(message) if message.is_empty() => Heard::Missed,
                heard => heard,
            })
            .boxed())
    }
}

impl Registry {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            held: Mutex::new(Arc::new(snapshot())),
            is_down: AtomicBool::default(),
            asked: AtomicU32::default(),
            announcements: ProcessAnnouncements::default(),
        })
    }

    /// Publishes one more revision and tells nobody.
    fn publish(&self) -> ChangeSet {
        let mut held = self.held.lock();
        let changes = update(&held, "fair_price", held.revision() + 1);
        *held = Arc::new(held.apply(&changes).expect("it follows"));
        changes
    }

    async fn announce(&self, changes: &ChangeSet) {
        let announced = Announced::Changes {
            changes: changes.clone(),
            readiness: Vec::new(),
        };
        self.send(announced.encode().expect("JSON")).await;
    }

    async fn send(&self, message: Vec<u8>) {
        let sent = self.announcements.announce(Channel::RegistryChanges, message.into());
        sent.await.expect("announced");
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

struct World {
    registry: Arc<Registry>,
    catalog: Arc<Catalog>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

/// A follower that has fetched revision 1, and asked the registry once for it.
async fn follow() -> World {
    let registry = Registry::new();
    let catalog = Arc::new(Catalog::default());
    let follower = Follower::new(catalog.clone(), registry.clone(), registry.clone(), Pace::default());
    let following = follower.listen().await.expect("it listens");
    assert_eq!(following.fetch().await.expect("a snapshot"), 1);
    let stop = CancellationToken::new();
    let running = tokio::spawn(following.run(stop.clone()));
    World {
        registry,
        catalog,
        stop,
        running,
    }
}

impl World {
    /// Waits for a revision, in the clock of the test.
    async fn arrives(&self, revision: u64, within: Duration) -> bool {
        self.catalog.wait_for(revision, within).await.is_ok()
    }
}

const AT_ONCE: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_secs(11);

#[tokio::test(start_paused = true)]
async fn what_is_announced_is_applied_without_asking() {
    let world = follow().await;
    for revision in 2..=4 {
        world.registry.announce(&world.registry.publish()).await;
        assert!(world.arrives(revision, AT_ONCE).await);
    }
    assert_eq!(world.registry.asked(), 1);
    world.stop.cancel();
    world.running.await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_between_listening_and_fetching_is_not_lost() {
    let registry = Registry::new();
    let catalog = Arc::new(Catalog::default());
    let follower = Follower::new(catalog.clone(), registry.clone(), registry.clone(), Pace::default());
    let following = follower.listen().await.expect("it listens");
    let early = registry.publish();
    registry.announce(&early).await;
    assert_eq!(following.fetch().await.expect("a snapshot"), 2);
    registry.announce(&registry.publish()).await;
    tokio::spawn(following.run(CancellationToken::new()));
    assert!(catalog.wait_for(3, AT_ONCE).await.is_ok());
    assert_eq!(registry.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn changes_out_of_order_are_put_in_order() {
    let world = follow().await;
    let (second, third) = (world.registry.publish(), world.registry.publish());
    world.registry.announce(&third).await;
    assert!(!world.arrives(2, Duration::from_millis(100)).await);
    world.registry.announce(&second).await;
    assert!(world.arrives(3, AT_ONCE).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.registry.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_never_announced_is_fetched_after_a_moment() {
    let world = follow().await;
    world.registry.publish();
    world.registry.announce(&world.registry.publish()).await;
    assert!(!world.arrives(2, Duration::from_millis(200)).await);
    assert!(world.arrives(3, Duration::from_millis(200)).await);
    assert_eq!(world.registry.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn lost_messages_and_silence_are_made_up_for() {
    let world = follow().await;
    world.registry.publish();
    world.registry.send(Vec::new()).await;
    assert!(world.arrives(2, Duration::from_millis(200)).await);
    world.registry.send(b"no such message".to_vec()).await;
    world.registry.publish();
    assert!(world.arrives(3, Duration::from_millis(200)).await);
    world.registry.publish();
    assert!(!world.arrives(4, Duration::from_secs(9)).await);
    assert!(world.arrives(4, LOOK).await, "the registry is looked at");
}

#[tokio::test(start_paused = true)]
async fn while_the_registry_is_down_the_copy_stays_and_what_is_heard_is_applied() {
    let world = follow().await;
    world.registry.is_down.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.catalog.current().revision(), 1);
    let asked = world.registry.asked();
    assert!((4..20).contains(&asked), "asked {asked} times in a minute");
    world.registry.announce(&world.registry.publish()).await;
    assert!(world.arrives(2, AT_ONCE).await);
    world.registry.publish();
    world.registry.is_down.store(false, Ordering::Relaxed);
    assert!(world.arrives(3, LOOK).await);
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_nobody_has_is_not_asked_for_all_the_time() {
    let world = follow().await;
    let ahead = Announced::Readiness {
        registry_revision: 9,
        readiness: Vec::new(),
    };
    world.registry.send(ahead.encode().expect("JSON")).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = world.registry.asked();
    assert!((4..20).contains(&asked), "asked {asked} times in a minute");
}

#[tokio::test(start_paused = true)]
async fn who_meets_something_newer_gets_it_fetched() {
    let world = follow().await;
    let group = {
        let mut held = world.registry.held.lock();
        let name = "product.value".parse().expect("a group");
        let (id, mut changes) = {
            let group = held.group(&name).expect("known");
            (group.schema.id, update(&held, "product.value", 2))
        };
        let mut record = (*changes.objects[0].record).clone();
        let mut state = record.group.expect("a group");
        let mut schema = (*state.schema).clone();
        schema.layout = LayoutNumber(schema.layout.0 + 1);
        state.schema = Arc::new(schema);
        record.group = Some(state);
        changes.objects[0].record = Arc::new(record);
        *held = Arc::new(held.apply(&changes).expect("it follows"));
        id
    };
    let newer = LayoutNumber(1);
    let found = world.catalog.newer_layout(group, newer, Duration::from_secs(1)).await;
    assert_eq!(found.expect("fetched").schema.layout, newer);
    let never = world
        .catalog
        .newer_layout(GroupId(99), newer, Duration::from_secs(2))
        .await;
    assert!(never.is_none());
    assert!(world.registry.asked() < 20);
}
