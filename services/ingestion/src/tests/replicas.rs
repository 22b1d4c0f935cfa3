//! Several processes over the same stores.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use forebay_model::Timestamp;
use forebay_rows::{Layouts, json::RowOptions};
use forebay_storage::{
    BatchId, ClaimKey, ClaimOutcome, Lease, Leases, ProcessLeases, Result, RowLog, SettledTime, Topic,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use super::world::{Life, PATIENCE, World, eager, until};
use crate::{
    Store,
    endpoints::accepting::take_and_answer,
    holds,
    intake::{self, Decoded, Taken},
    receipt::Receipt,
};

const ANONYMOUS: BatchId = BatchId(Uuid::nil());

fn rows(from: i64, count: i64) -> Vec<(i64, i64, f64)> {
    (from..from + count).map(|n| (n % 10, n, n as f64)).collect()
}

fn sorted(mut rows: Vec<(i64, i64, f64)>) -> Vec<(i64, i64, f64)> {
    rows.sort_by(|one, other| one.partial_cmp(other).expect("comparable"));
    rows
}

async fn all_reach(lives: &[&Life], group: &str, next: u64) {
    for life in lives {
        let topic = Topic::of(&life.schema(group));
        for store in [Store::Online, Store::Offline] {
            until("every process knows that the stores hold the rows", async || {
                life.state.positions.reached(store, topic, 0) == Some(next)
            })
            .await;
        }
    }
}

/// Leases that can be taken away.
#[derive(Default)]
struct Movable {
    taken: Mutex<HashMap<String, Arc<AtomicBool>>>,
    freed: Notify,
    waiting: Mutex<HashSet<String>>,
}

struct MovableLease {
    leases: Arc<Movable>,
    name: String,
    held: Arc<AtomicBool>,
}

struct MovableLeases(Arc<Movable>);

impl Lease for MovableLease {
    fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }
}

impl Drop for MovableLease {
    fn drop(&mut self) {
        let mut taken = self.leases.taken.lock();
        if taken.get(&self.name).is_some_and(|held| Arc::ptr_eq(held, &self.held)) {
            taken.remove(&self.name);
        }
        self.leases.freed.notify_waiters();
    }
}

impl Movable {
    /// Whoever has the lease has it no longer.
    fn take_away(&self, name: &str) {
        if let Some(held) = self.taken.lock().remove(name) {
            held.store(false, Ordering::SeqCst);
        }
        self.freed.notify_waiters();
    }
}

#[async_trait]
impl Leases for MovableLeases {
    async fn acquire(&self, name: &str) -> Result<Box<dyn Lease>> {
        self.0.waiting.lock().insert(name.to_owned());
        loop {
            let freed = self.0.freed.notified();
            {
                let mut taken = self.0.taken.lock();
                if !taken.contains_key(name) {
                    let held = Arc::new(AtomicBool::new(true));
                    taken.insert(name.to_owned(), held.clone());
                    return Ok(Box::new(MovableLease {
                        leases: self.0.clone(),
                        name: name.to_owned(),
                        held,
                    }));
                }
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), freed).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_knows_where_rows_are_and_what_has_settled() {
    let world = World::new(crate::SinksConfig {
        flush_interval_ms: 3_600_000,
        ..eager()
    });
    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(5));
    let works = shared.process(1, &world, true);
    let asks = shared.process(2, &world, false);
    let schema = asks.schema("shop.pushed");
    let topic = Topic::of(&schema);
    let appended = asks.push("shop.pushed", ANONYMOUS, &rows(0, 20)).await;
    let receipt = Receipt { topic, rows: appended };
    let group = asks
        .state
        .deps
        .catalog
        .current()
        .group(&"shop.pushed".parse().unwrap())
        .unwrap()
        .clone();
    let deadline = Instant::now() + PATIENCE;
    let begun = Instant::now();
    let both = [Store::Online, Store::Offline];
    assert!(
        holds::wait(&asks.state, &group, &both, &receipt, deadline).await,
        "the sink of the other process is told to hurry, and tells that it has"
    );
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let now = asks.state.deps.clock.now();
    let settled = asks.state.settled.wait(&schema, now, deadline).await.unwrap();
    assert!(settled >= now);

    // One that begins now and hears nothing asks the stores.
    let late = shared.process(3, &world, false);
    for store in both {
        assert!(holds::holds(&late.state, &group, store, &receipt).await.unwrap());
    }
    for life in [works, asks, late] {
        life.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_move_between_processes_have_every_row_once() {
    let world = World::new(eager());
    let movable = Arc::new(Movable::default());
    let shared = world.shared_with(Arc::new(MovableLeases(movable.clone()))).await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(5));
    let lives = [1, 2].map(|id| shared.process(id, &world, true));
    let name = crate::tables::lease_name(Topic::of(&lives[0].schema("shop.pushed")));
    let mut expected = Vec::new();
    for round in 0..30 {
        let some = rows(round * 20, 20);
        lives[round as usize % 2].push("shop.pushed", ANONYMOUS, &some).await;
        expected.extend(some);
        if round % 3 == 2 {
            movable.take_away(&name);
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    all_reach(&[&lives[0], &lives[1]], "shop.pushed", 600).await;
    assert_eq!(lives[0].offline("shop.pushed").await, sorted(expected));
    for id in 0..10 {
        assert_eq!(
            lives[1].online("shop.pushed", id).await,
            Some((590.0 + id as f64, 590 + id))
        );
    }
    for life in lives {
        life.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sinks_of_one_table_at_once_double_nothing() {
    let world = World::new(eager());
    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(5));
    // Each process believes that it has all the leases, as one does that was paused while its leases went to another.
    let lives = [1, 2].map(|id| shared.process_with(id, &world, true, Arc::new(ProcessLeases::default())));
    let mine = BatchId(Uuid::from_u128(7));
    let mut expected = Vec::new();
    for round in 0..20 {
        let some = rows(round * 20, 20);
        lives[round as usize % 2].push("shop.pushed", ANONYMOUS, &some).await;
        expected.extend(some);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let repeated = rows(1_000, 30);
    for attempt in 0..3 {
        lives[attempt % 2].push("shop.pushed", mine, &repeated).await;
    }
    expected.extend(repeated);
    all_reach(&[&lives[0], &lives[1]], "shop.pushed", 490).await;
    assert_eq!(lives[0].offline("shop.pushed").await, sorted(expected));
    assert_eq!(lives[0].online("shop.pushed", 3).await, Some((1023.0, 1023)));
    for life in lives {
        life.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_shared_out_among_processes() {
    let world = World::new(eager());
    let movable = Arc::new(Movable::default());
    let shared = world.shared_with(Arc::new(MovableLeases(movable.clone()))).await;
    let first = shared.process(1, &world, true);
    let held = |life: &Life| {
        let snapshot = life.state.deps.catalog.current();
        snapshot
            .groups()
            .filter(|group| group.uses_row_log())
            .filter(|group| {
                let topic = Topic::of(&group.schema);
                life.state.signals.positions().holds(topic)
            })
            .count()
    };
    until("the first has all tables", async || held(&first) == 4).await;
    let mut others: Vec<Life> = (2..5).map(|id| shared.process(id, &world, true)).collect();
    until("others have some", async || {
        others.iter().map(held).sum::<usize>() > 0 && held(&first) + others.iter().map(held).sum::<usize>() == 4
    })
    .await;
    first.end().await;
    until("the others have all", async || {
        others.iter().map(held).sum::<usize>() == 4
    })
    .await;
    others.push(shared.process(9, &world, false));
    for life in others {
        life.end().await;
    }
}

fn decoded(life: &Life, body: &str) -> Decoded {
    let schema = life.schema("shop.pushed");
    let mut decoded = Decoded::new(Layouts::new(schema), 100, life.state.budget.reserve());
    let options = RowOptions {
        missing_as_null: true,
        event_time: Some(intake::UNDATED),
    };
    intake::decode_json(&body.as_bytes().to_vec().into(), &mut decoded, options).expect("rows");
    decoded
}

async fn take_in(life: &Life, body: &str, key: &str) -> Result<Taken, forebay_server::ApiError> {
    let group = life
        .state
        .deps
        .catalog
        .current()
        .group(&"shop.pushed".parse().unwrap())
        .unwrap()
        .clone();
    let key = ClaimKey {
        scope: "rows/shop.pushed".to_owned(),
        key: key.to_owned(),
    };
    intake::take_in(life.state.clone(), group, decoded(life, body), 5, Some(key), false).await
}

const BODY: &str = r#"{"rows": [{"id": 1, "price": 1.0}, {"id": 2, "price": 2.0}, {"id": 1, "price": 3.0}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_repeated_through_another_process_while_the_first_is_paused_adds_nothing() {
    let world = World::new(eager());
    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(5));
    let gate = Arc::new(Semaphore::new(0));
    let paused = shared.process(1, &world, false);
    let works = shared.process(2, &world, true);
    // The first has claimed the key and stops before it appends.
    *shared.log.gate.lock() = Some(gate.clone());
    let first = {
        let state = paused.state.clone();
        let group = state
            .deps
            .catalog
            .current()
            .group(&"shop.pushed".parse().unwrap())
            .unwrap()
            .clone();
        let key = ClaimKey {
            scope: "rows/shop.pushed".to_owned(),
            key: "k".to_owned(),
        };
        tokio::spawn(intake::take_in(
            state,
            group,
            decoded(&paused, BODY),
            5,
            Some(key),
            false,
        ))
    };
    until("it is about to append", async || {
        shared.log.waiting.load(Ordering::SeqCst)
    })
    .await;
    *shared.log.gate.lock() = None;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let Ok(Taken::In(second)) = take_in(&works, BODY, "k").await else {
        panic!("the second attempt takes the rows in");
    };
    all_reach(&[&works], "shop.pushed", 3).await;
    gate.add_permits(1);
    let Ok(Ok(Taken::In(_))) = first.await else {
        panic!("the first attempt comes to its end");
    };
    all_reach(&[&works], "shop.pushed", 6).await;
    let offline = works.offline("shop.pushed").await;
    assert_eq!(offline.len(), 3, "{offline:?}");
    assert!(
        offline.iter().all(|row| row.1 == offline[0].1),
        "rows without event time have the moment of the claim"
    );
    assert_eq!(works.online("shop.pushed", 1).await.map(|row| row.0), Some(3.0));
    // The first answer stays.
    let Ok(Taken::Before(again)) = take_in(&paused, BODY, "k").await else {
        panic!("it is answered as before");
    };
    assert_eq!(again.body, second.body);
    for life in [paused, works] {
        life.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_of_a_paused_process_does_not_free_the_key_of_a_later_one() {
    let world = World::new(eager());
    let shared = world.shared().await;
    let life = shared.process(1, &world, false);
    let ahead = life
        .state
        .deps
        .clock
        .now()
        .saturating_add(forebay_model::Duration::from_micros(300_000));
    let body = format!(r#"{{"rows": [{{"id": 1, "event_time": "{ahead}", "price": 1.0}}]}}"#);
    // The first claims with its own time, at which the row lies ahead, and dies before it gives the claim up.
    let key = ClaimKey {
        scope: "rows/shop.pushed".to_owned(),
        key: "k".to_owned(),
    };
    let moment = life.state.deps.clock.now();
    let refused = decoded(&life, &body);
    let claim = forebay_storage::Claim {
        body_hash: 5,
        batch: intake::batch_id(&key, 5, moment, &refused),
        ingest_time: moment,
    };
    let claims = life.state.deps.claims.clone();
    assert_eq!(
        claims.claim(&key, &claim, Timestamp::MIN).await.unwrap(),
        ClaimOutcome::Claimed
    );
    tokio::time::sleep(Duration::from_millis(400)).await;
    let Ok(Taken::In(taken)) = take_in(&life, &body, "k").await else {
        panic!("the row lies ahead no longer, and nothing was taken in before");
    };
    // The dead one was only paused.
    claims.abandon(&key, &claim).await.unwrap();
    let Ok(Taken::Before(again)) = take_in(&life, &body, "k").await else {
        panic!("it is answered as before");
    };
    assert_eq!(taken.body, again.body);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_would_take_other_rows_takes_none() {
    let world = World::new(eager());
    let shared = world.shared().await;
    let life = shared.process(1, &world, false);
    let key = ClaimKey {
        scope: "rows/shop.pushed".to_owned(),
        key: "k".to_owned(),
    };
    // The first attempt took one of the rows only, since a check forbade the others then.
    let moment = life.state.deps.clock.now();
    let mut fewer = decoded(&life, BODY);
    fewer.parts[0].rows.retain(|row| row == 0);
    fewer.parts[0].indexes.truncate(1);
    let claim = forebay_storage::Claim {
        body_hash: 5,
        batch: intake::batch_id(&key, 5, moment, &fewer),
        ingest_time: moment,
    };
    let claims = life.state.deps.claims.clone();
    claims.claim(&key, &claim, Timestamp::MIN).await.unwrap();
    let Err(error) = take_in(&life, BODY, "k").await else {
        panic!("nothing is taken in");
    };
    assert_eq!(error.problem().status, 409);
    let topic = life.shared.log.bounds(&life.schema("shop.pushed")).await.unwrap();
    assert_eq!(topic, [(0, 0)]);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_row_is_set_aside_and_stops_nothing() {
    let world = World::new(eager());
    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(5));
    shared.log.poison.lock().extend([3, 7]);
    let life = shared.process(1, &world, true);
    let now = life.state.deps.clock.now().micros();
    for group in ["shop.pushed", "shop.online"] {
        let mut some = rows(0, 10);
        // One lies slightly ahead and waits, one far ahead does not come in.
        some.push((1, now + 600_000, 77.0));
        some.push((2, now + 3_600_000_000, 78.0));
        life.push(group, ANONYMOUS, &some).await;
    }
    let begun = Instant::now();
    all_reach(&[&life], "shop.pushed", 12).await;
    until("it is online when its time has come", async || {
        life.online("shop.online", 1).await == Some((77.0, now + 600_000))
    })
    .await;
    assert!(
        life.state.deps.clock.now().micros() >= now + 600_000,
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(life.online("shop.pushed", 1).await, Some((77.0, now + 600_000)));
    assert_eq!(life.online("shop.pushed", 2).await, Some((2.0, 2)));
    assert_eq!(life.online("shop.pushed", 3).await, None, "its only row cannot be read");
    let offline = life.offline("shop.pushed").await;
    assert_eq!(offline.len(), 9, "{offline:?}");
    let rejected = shared.rejected.0.lock().clone();
    for group in ["shop.pushed", "shop.online"] {
        let of_group = rejected.iter().filter(|rejected| rejected.group.to_string() == group);
        let mut told: Vec<(u64, String)> = of_group
            .map(|rejected| (rejected.record.offset, rejected.record.code.clone()))
            .collect();
        told.sort();
        let expected = [(3, "undecodable"), (7, "undecodable"), (11, "event_time_ahead")];
        assert_eq!(
            told,
            expected.map(|(offset, code)| (offset, code.to_owned())),
            "{group}"
        );
    }
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_again_stops_its_group_and_no_other() {
    let world = World::new(eager());
    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(5));
    let life = shared.process(1, &world, true);
    for group in ["shop.pushed", "shop.brief"] {
        life.push(group, ANONYMOUS, &rows(0, 10)).await;
        all_reach(&[&life], group, 10).await;
    }
    life.end().await;
    drop(shared);

    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(6));
    let life = shared.process(1, &world, true);
    // A process that does not know the topic as it was takes nothing in that no store will hold, ...
    let Err(error) = take_in(&life, BODY, "k").await else {
        panic!("no sink takes these rows");
    };
    let problem = error.problem();
    assert!(
        problem.status == 503 && problem.detail.contains("?purge=true"),
        "{problem:?}"
    );
    // ... and what others put there stays where it is.
    life.push("shop.pushed", ANONYMOUS, &rows(10, 10)).await;
    // A group that had no rows begins with the topic as it is.
    life.push("shop.online", ANONYMOUS, &rows(0, 10)).await;
    let topic = Topic::of(&life.schema("shop.online"));
    until("the other group goes on", async || {
        life.state.positions.reached(Store::Online, topic, 0) == Some(10)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        life.offline("shop.pushed").await.len(),
        10,
        "nothing is skipped or brought in twice"
    );
    assert_eq!(life.online("shop.pushed", 3).await, Some((3.0, 3)));
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_again_is_known_by_groups_that_are_only_offline() {
    let world = World::new(eager());
    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(5));
    let life = shared.process(1, &world, true);
    let schema = life.schema("shop.offline");
    let begun = async || life.state.same_logs.check(&life.state.deps, &schema).await.is_ok();
    assert!(begun().await, "there are no positions yet");
    life.push("shop.offline", ANONYMOUS, &rows(0, 10)).await;
    let topic = Topic::of(&schema);
    until("they are offline", async || {
        life.state.positions.reached(Store::Offline, topic, 0) == Some(10)
    })
    .await;
    life.state.deps.online.flush().await.expect("flushed");
    life.end().await;
    drop(shared);

    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(6));
    let life = shared.process(1, &world, false);
    let checked = life.state.same_logs.check(&life.state.deps, &schema).await;
    assert!(
        matches!(checked, Err(forebay_storage::StorageError::Gone { .. })),
        "{checked:?}"
    );
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_later_of_two_rows_wins_whatever_the_clocks_say() {
    let world = World::new(eager());
    let shared = world.shared().await;
    let life = shared.process(1, &world, true);
    // The correction goes through a process whose clock is behind, so that its ingest time is the smaller one.
    let now = life.state.deps.clock.now().micros();
    life.push("shop.pushed", ANONYMOUS, &[(1, now - 5_000_000, 1.0)]).await;
    let held = life.state.in_flight.begin(Topic::of(&life.schema("shop.pushed")));
    drop(held);
    life.push_at(
        "shop.pushed",
        ANONYMOUS,
        &[(1, now - 5_000_000, 2.0)],
        Timestamp::from_micros(now - 4_000_000),
    )
    .await;
    all_reach(&[&life], "shop.pushed", 2).await;
    assert_eq!(life.online("shop.pushed", 1).await, Some((2.0, now - 5_000_000)));
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_answer_is_told_within_the_deadline_and_comes_back() {
    let world = World::new(eager());
    let shared = world.shared().await;
    let life = shared.process(1, &world, true);
    let gate = Arc::new(Semaphore::new(0));
    *shared.log.gate.lock() = Some(gate.clone());
    let group = life
        .state
        .deps
        .catalog
        .current()
        .group(&"shop.pushed".parse().unwrap())
        .unwrap()
        .clone();
    let query = forebay_api::rows::RowsQuery::default();
    let options = intake::IntakeOptions::new(&query, &life.state.deps.intake).unwrap();
    let key = ClaimKey {
        scope: "rows/shop.pushed".to_owned(),
        key: "k".to_owned(),
    };
    let send = async |within| {
        let deadline = Instant::now() + within;
        let decoded = decoded(&life, BODY);
        take_and_answer(&life.state, &group, decoded, 5, Some(key.clone()), &options, deadline).await
    };
    let begun = Instant::now();
    let Err(error) = send(Duration::from_millis(600)).await else {
        panic!("the log does not answer");
    };
    assert!(begun.elapsed() < Duration::from_millis(600));
    assert_eq!(error.problem().status, 503);
    assert!(error.problem().retry_after.is_some());
    let Err(error) = send(Duration::from_millis(600)).await else {
        panic!("the first attempt is under way");
    };
    assert_eq!(error.problem().status, 409);
    *shared.log.gate.lock() = None;
    gate.add_permits(1);
    until("the first attempt has come to its end", async || {
        send(Duration::from_secs(5))
            .await
            .is_ok_and(|answer| answer.status() == 202)
    })
    .await;
    all_reach(&[&life], "shop.pushed", 3).await;
    assert_eq!(life.offline("shop.pushed").await.len(), 3);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_schema_is_set_aside_once_the_registry_says_so() {
    let world = World::new(eager());
    let shared = world.shared().await;
    *shared.log.identity.lock() = Some(Uuid::from_u128(5));
    *shared.log.made_up.lock() = Some((4, forebay_model::LayoutNumber(900)));
    let life = shared.process(1, &world, true);
    life.push("shop.pushed", ANONYMOUS, &rows(0, 10)).await;
    all_reach(&[&life], "shop.pushed", 10).await;
    assert_eq!(life.offline("shop.pushed").await.len(), 9);
    assert_eq!(life.online("shop.pushed", 4).await, None);
    let offsets: Vec<u64> = shared
        .rejected
        .0
        .lock()
        .iter()
        .map(|rejected| rejected.record.offset)
        .collect();
    assert_eq!(offsets, [4]);
    life.end().await;
}

/// Claims of a store that is down.
struct NoClaims;

fn down<T>() -> Result<T> {
    Err(forebay_storage::StorageError::unavailable(
        "claim store",
        std::io::Error::from(std::io::ErrorKind::ConnectionRefused),
    ))
}

#[async_trait]
impl forebay_storage::ClaimStore for NoClaims {
    async fn claim(&self, _: &ClaimKey, _: &forebay_storage::Claim, _: Timestamp) -> Result<ClaimOutcome> {
        down()
    }

    async fn answer(&self, _: &ClaimKey, _: bytes::Bytes) -> Result<bytes::Bytes> {
        down()
    }

    async fn abandon(&self, _: &ClaimKey, _: &forebay_storage::Claim) -> Result<()> {
        down()
    }

    async fn expire(&self, _: Timestamp, _: usize) -> Result<u64> {
        down()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_claims_only_requests_with_a_key_are_told_to_come_back() {
    let world = World::new(eager());
    let shared = world.shared().await;
    let life = shared.process(1, &world, false);
    let deps = crate::Deps {
        claims: Arc::new(NoClaims),
        ..life.state.deps.clone()
    };
    let state = Arc::new(crate::State::new(deps));
    let group = state
        .deps
        .catalog
        .current()
        .group(&"shop.pushed".parse().unwrap())
        .unwrap()
        .clone();
    let key = ClaimKey {
        scope: "rows/shop.pushed".to_owned(),
        key: "k".to_owned(),
    };
    let keyed = intake::take_in(state.clone(), group.clone(), decoded(&life, BODY), 5, Some(key), false).await;
    assert_eq!(keyed.err().map(|error| error.problem().status), Some(503));
    assert_eq!(
        shared.log.bounds(&group.schema).await.unwrap(),
        [(0, 0)],
        "nothing was appended"
    );
    let plain = intake::take_in(state, group.clone(), decoded(&life, BODY), 5, None, false).await;
    assert!(matches!(plain, Ok(Taken::In(_))));
    assert_eq!(shared.log.bounds(&group.schema).await.unwrap(), [(0, 3)]);
    life.end().await;
}
