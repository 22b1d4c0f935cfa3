//! What everything that gives out leases must do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::{sleep, timeout};

use crate::{Lease, Leases};

/// Where leases are known by their names.
#[async_trait]
pub trait LeasesPlace: Send + Sync + 'static {
    /// As one process of an installation sees it. Several are open beside each other, some of them in runtimes of their own.
    async fn open(&self) -> Arc<dyn Leases>;

    /// How long after its holder was last seen alive a lease goes to somebody else, at the earliest; `None` when it never does.
    fn outlasts(&self) -> Option<Duration>;
}

/// Runs the whole suite; `fresh` gives a place without leases each time.
pub async fn leases<P: LeasesPlace>(fresh: impl AsyncFn() -> P) {
    a_lease_has_one_holder(&fresh().await).await;
    a_lease_is_handed_over(&fresh().await).await;
    who_waits_no_more_takes_nothing(&fresh().await).await;
    many_take_turns(&fresh().await).await;
    let place = fresh().await;
    if let Some(outlasts) = place.outlasts() {
        a_paused_holder_loses_it(Arc::new(place), outlasts).await;
    }
}

const NAME: &str = "tables/7.0";

/// Longer than anything takes that should come to an end.
const LONG: Duration = Duration::from_secs(60);

async fn acquire(leases: &dyn Leases) -> Box<dyn Lease> {
    timeout(LONG, leases.acquire(NAME))
        .await
        .expect("it is free")
        .expect("an answer")
}

async fn a_lease_has_one_holder(place: &impl LeasesPlace) {
    let (one, other) = (place.open().await, place.open().await);
    let lease = acquire(&*one).await;
    assert!(lease.is_held());
    let further = other.acquire("tables/8.0").await.expect("another name is free");
    // As long as it is renewed it is nobody else's.
    let patience = place
        .outlasts()
        .map_or(Duration::from_millis(50), |outlasts| 3 * outlasts);
    for leases in [&other, &one] {
        let taken = timeout(patience / 2, leases.acquire(NAME)).await;
        assert!(taken.is_err(), "it is taken");
        assert!(lease.is_held() && further.is_held());
    }
}

async fn a_lease_is_handed_over(place: &impl LeasesPlace) {
    let (one, other) = (place.open().await, place.open().await);
    let lease = acquire(&*one).await;
    let waiting = tokio::spawn({
        let other = other.clone();
        async move { acquire(&*other).await }
    });
    sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "it is taken");
    drop(lease);
    let lease = timeout(LONG, waiting).await.expect("it was dropped").expect("a waiter");
    assert!(lease.is_held());
    drop(lease);
    let lease = acquire(&*one).await;
    assert!(lease.is_held(), "and back");
}

async fn who_waits_no_more_takes_nothing(place: &impl LeasesPlace) {
    let (one, other) = (place.open().await, place.open().await);
    let lease = acquire(&*one).await;
    for _ in 0..3 {
        let taken = timeout(Duration::from_millis(50), other.acquire(NAME)).await;
        assert!(taken.is_err(), "it is taken");
    }
    drop(lease);
    let lease = acquire(&*one).await;
    assert!(lease.is_held());
}

async fn many_take_turns(place: &impl LeasesPlace) {
    const TURNS: usize = 3;
    let places = [place.open().await, place.open().await, place.open().await];
    let inside = Arc::new(AtomicBool::new(false));
    let turns = Arc::new(AtomicUsize::new(0));
    let workers = places.iter().map(|leases| {
        let (leases, inside, turns) = (leases.clone(), inside.clone(), turns.clone());
        tokio::spawn(async move {
            for _ in 0..TURNS {
                let lease = acquire(&*leases).await;
                assert!(!inside.swap(true, Ordering::SeqCst), "two are at work");
                sleep(Duration::from_millis(5)).await;
                assert!(lease.is_held());
                inside.store(false, Ordering::SeqCst);
                turns.fetch_add(1, Ordering::SeqCst);
                drop(lease);
            }
        })
    });
    for worker in join_all(workers.collect::<Vec<_>>()).await {
        worker.expect("a worker");
    }
    assert_eq!(turns.load(Ordering::SeqCst), TURNS * places.len());
}

/// A holder is stopped in its tracks, longer than a lease lasts: somebody else gets it, and when the holder goes on it knows at once that it has lost it.
async fn a_paused_holder_loses_it(place: Arc<impl LeasesPlace>, outlasts: Duration) {
    let (held, is_held) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let paused = thread::spawn({
        let place = place.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let lease = acquire(&*place.open().await).await;
                held.send(Instant::now()).expect("somebody listens");
                // The whole runtime stands still: nothing is renewed.
                may_go_on.recv().expect("told to go on");
                let at_first = lease.is_held();
                sleep(2 * outlasts).await;
                (at_first, lease.is_held())
            })
        }
    });
    let before = tokio::task::spawn_blocking(move || is_held.recv().expect("it is held"))
        .await
        .expect("no panic");
    let other = place.open().await;
    let lease = acquire(&*other).await;
    // It may have been renewed last before it was told to be held.
    assert!(
        before.elapsed() + outlasts / 2 >= outlasts,
        "it was taken {:?} after it was seen held",
        before.elapsed()
    );
    go_on.send(()).expect("it waits");
    let (at_first, later) = tokio::task::spawn_blocking(move || paused.join().expect("no panic"))
        .await
        .expect("no panic");
    assert!(!at_first, "the holder that wakes knows that it has lost it");
    assert!(!later, "and does not get it back by itself");
    assert!(lease.is_held(), "nor takes it from who has it");
}
