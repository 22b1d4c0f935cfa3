//! A server that is killed, stopped in its tracks or slow: what was acknowledged stays, nothing hangs, and everything goes on by itself.
//!
//! Each test has a server of its own, which writes to disk before it acknowledges.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_model::{
    Timestamp,
    definitions::{Kind, ObjectId},
};
use forebay_storage::{
    BatchId, Claim, ClaimKey, ClaimOutcome, ClaimStore, Head, Leases, ManifestEntry, OnlineAnswer, OnlineRead,
    OnlineStore, Progress, Provision, Published, RegistryStore, Result, RunStore, Saved, StorageError, StoredRun,
    conformance::{rows::PlainRow, schemas},
};
use forebay_testbed::{Cassandra, CassandraOptions, CommitlogSync};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{CassandraConfig, CassandraStores, conformance::config, migrate};

/// A server, and settings with short timeouts.
struct Bed {
    server: Arc<Cassandra>,
    config: CassandraConfig,
}

const REQUEST_TIMEOUT: Duration = Duration::from_millis(400);

impl Bed {
    async fn start() -> Self {
        let server = tokio::task::spawn_blocking(|| {
            Cassandra::start(CassandraOptions {
                commitlog_sync: CommitlogSync::Group,
                ..CassandraOptions::default()
            })
        });
        let server = server.await.expect("no panic").expect("a server");
        let patient = config(server.address().to_string());
        migrate::migrate(&patient, None).await.expect("migrated");
        Self {
            server: Arc::new(server),
            config: CassandraConfig {
                request_timeout_ms: u64::try_from(REQUEST_TIMEOUT.as_millis()).expect("short"),
                ..patient
            },
        }
    }

    async fn stores(&self) -> CassandraStores {
        CassandraStores::connect(&self.config, None).await.expect("connected")
    }

    /// Settings under which nothing ends for being slow, on a busy machine.
    async fn patient_stores(&self) -> CassandraStores {
        let config = CassandraConfig {
            request_timeout_ms: 10_000,
            ..self.config.clone()
        };
        CassandraStores::connect(&config, None).await.expect("connected")
    }

    /// Stops the server in its tracks, for a while.
    fn pause_for(&self, pause: Duration) -> tokio::task::JoinHandle<()> {
        self.server.pause();
        let server = self.server.clone();
        tokio::spawn(async move {
            sleep(pause).await;
            server.resume();
        })
    }

    async fn restart(&self) {
        let server = self.server.clone();
        tokio::task::spawn_blocking(move || server.restart().expect("started again"))
            .await
            .expect("no panic");
    }
}

/// Until it succeeds, within a minute.
async fn eventually<T>(what: &str, attempt: impl AsyncFn() -> Result<T>) -> T {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(60), "{what}: {error}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn read_price(store: &dyn OnlineStore, id: i64, patience: Duration) -> Result<Option<Vec<u8>>> {
    let schema = schemas::prices(0);
    let mut read = OnlineRead::new(schema.clone());
    read.push(&PlainRow::price(id, 0, 0, 0.0).packed(&schema).key);
    let mut answer = OnlineAnswer::default();
    store.read(&[read], Instant::now() + patience, &mut answer).await;
    answer
        .row(0, 0)
        .map(|row| row.map(<[u8]>::to_vec))
        .map_err(Clone::clone)
}

fn is_down(error: &StorageError) -> bool {
    matches!(error, StorageError::TimedOut { .. } | StorageError::Unavailable { .. })
}

fn key(text: &str) -> ClaimKey {
    ClaimKey {
        scope: "rows/a.b".to_owned(),
        key: text.to_owned(),
    }
}

fn claim(number: u128) -> Claim {
    Claim {
        body_hash: number,
        batch: BatchId(Uuid::from_u128(number)),
        ingest_time: Timestamp::from_micros(1_000_000_000_000_000),
    }
}

fn head_after(before: &Head, apply_id: Uuid) -> Head {
    let mut head = before.clone();
    head.registry_revision += 1;
    head.apply_id = apply_id;
    let entry = ManifestEntry {
        revision: 1,
        apply_id,
        deleted: false,
    };
    let id = ObjectId::new(Kind::Domain, format!("d{}", head.registry_revision));
    head.manifest.objects.insert(id, entry);
    head
}

/// Four kills while eight writers upsert: every acknowledged row is there, and no progress is ahead of its rows.
#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_row_is_lost_by_kills() {
    const WRITERS: i64 = 8;
    let bed = Bed::start().await;
    let stores = bed.patient_stores().await;
    let schema = schemas::prices(0);
    stores.online.ensure(&schema).await.expect("made");
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, schema, stop) = (stores.online.clone(), schema.clone(), stop.clone());
            tokio::spawn(async move {
                let mut acknowledged = 0;
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    let position = acknowledged + 1;
                    // Ten keys of its own, over and over; each row newer than the one before.
                    let rows = (0..10).map(|number| {
                        PlainRow::price(writer * 10 + number, position, position, position as f64).packed(&schema)
                    });
                    let progress = Some(Progress {
                        consumer: format!("rows/7.0/{writer}"),
                        position,
                    });
                    match store.upsert(&schema, rows.collect(), progress).await {
                        Ok(()) => acknowledged = position,
                        Err(error) => {
                            assert!(is_down(&error), "{error}");
                            sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
                acknowledged
            })
        })
        .collect();
    for _ in 0..4 {
        sleep(Duration::from_millis(800)).await;
        bed.server.kill();
        bed.restart().await;
        eventually("reads go on", async || {
            read_price(&*stores.online, 1, Duration::from_secs(2)).await
        })
        .await;
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    // The last kill is after the last acknowledgement.
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.push(writer.await.expect("a writer"));
    }
    bed.server.kill();
    bed.restart().await;
    let mut checked = 0;
    for (writer, acknowledged) in (0..).zip(acknowledged) {
        assert!(acknowledged > 0, "writer {writer} never succeeded");
        let consumer = format!("rows/7.0/{writer}");
        let progress = eventually("progress", async || stores.online.progress(&consumer).await).await;
        let progress = progress.expect("it made some");
        assert!(progress >= acknowledged, "acknowledged progress is durable");
        for number in 0..10 {
            let row = eventually("a read", async || {
                read_price(&*stores.online, writer * 10 + number, Duration::from_secs(2)).await
            });
            let row = row.await.expect("its row is there");
            let stored = forebay_rows::RowHead::read(&row).expect("a row").event_time.micros();
            assert!(
                stored >= progress.max(acknowledged),
                "writer {writer}: {stored}, {progress}, {acknowledged}"
            );
            checked += acknowledged;
        }
    }
    println!("{checked} acknowledged rows, none lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_ends_in_time_while_the_server_hangs_and_goes_on_afterwards() {
    let bed = Bed::start().await;
    let patient = bed.patient_stores().await;
    let schema = schemas::prices(0);
    patient.online.ensure(&schema).await.expect("made");
    let stores = bed.stores().await;
    let row = PlainRow::price(1, 1, 1, 1.0);
    let upsert = async || stores.online.upsert(&schema, vec![row.packed(&schema)], None).await;
    eventually("the first upsert", upsert).await;
    eventually("the first read", async || {
        read_price(&*stores.online, 1, Duration::from_secs(2)).await
    })
    .await;
    eventually("the first ping", async || stores.ping().await).await;
    bed.server.pause();
    let slack = Duration::from_millis(500);
    for patience in [20, 100, 300] {
        let patience = Duration::from_millis(patience);
        let start = Instant::now();
        let outcome = read_price(&*stores.online, 1, patience).await;
        assert!(matches!(&outcome, Err(error) if is_down(error)), "{outcome:?}");
        assert!(
            start.elapsed() < patience + slack,
            "{:?} for {patience:?}",
            start.elapsed()
        );
    }
    let start = Instant::now();
    let error = upsert().await.expect_err("it hangs");
    assert!(is_down(&error), "{error}");
    assert!(start.elapsed() < REQUEST_TIMEOUT + slack);
    let error = stores.ping().await.expect_err("it hangs");
    assert!(is_down(&error), "{error}");
    let start = Instant::now();
    let error = stores
        .claims
        .claim(&key("k"), &claim(1), Timestamp::MIN)
        .await
        .expect_err("it hangs");
    assert!(is_down(&error), "{error}");
    let error = stores.registry.head().await.expect_err("it hangs");
    assert!(is_down(&error), "{error}");
    assert!(start.elapsed() < 6 * REQUEST_TIMEOUT + slack, "{:?}", start.elapsed());
    bed.server.resume();
    eventually("upserts go on", upsert).await;
    let stored = eventually("reads go on", async || {
        read_price(&*stores.online, 1, Duration::from_secs(2)).await
    })
    .await;
    assert_eq!(stored, Some(row.packed(&schema).row.to_vec()));
    eventually("pings go on", async || stores.ping().await).await;
    // And while it is gone altogether.
    bed.server.kill();
    let start = Instant::now();
    let outcome = read_price(&*stores.online, 1, Duration::from_millis(300)).await;
    assert!(matches!(&outcome, Err(error) if is_down(error)), "{outcome:?}");
    let error = upsert().await.expect_err("it is gone");
    assert!(is_down(&error), "{error}");
    assert!(start.elapsed() < Duration::from_millis(300) + REQUEST_TIMEOUT + 2 * slack);
    bed.restart().await;
    eventually("upserts go on", upsert).await;
    eventually("leases are given out", async || stores.leases.acquire("x").await).await;
}

/// The server is paused while a transaction is on its way, and carries it out when it wakes: long after whoever sent it has given up, or while it still
/// looks for what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_time_out_and_are_applied_count_once() {
    let bed = Bed::start().await;
    let stores = bed.stores().await;
    let mut head = Head::default();
    let (mut late, mut in_time) = (0, 0);
    for (round, pause) in (0_u64..).zip([1_500, 500, 600, 500, 1_500, 600]) {
        let id = |number: u64| u128::from(round * 10 + number);
        let run = |version, finished| StoredRun {
            id: Uuid::from_u128(id(1)),
            version,
            finished,
            content: format!("{round} {version}"),
        };
        // All is well, and what is written before the transactions is there.
        let next = head_after(&head, Uuid::from_u128(id(1)));
        let stale = stores.registry.publish(999, &next);
        assert!(
            matches!(stale.await, Ok(Published::Moved(_))),
            "a revision that is not there"
        );
        eventually("a save", async || stores.runs.save(&run(1, false)).await).await;

        let resumed = bed.pause_for(Duration::from_millis(pause));
        let second = run(2, true);
        let (published, saved) = tokio::join!(
            stores.registry.publish(head.registry_revision, &next),
            stores.runs.save(&second),
        );
        resumed.await.expect("resumed");
        // The server comes to what was sent to it meanwhile.
        sleep(Duration::from_millis(500)).await;
        // Whatever they said, and whenever the server came to it: each has happened, once.
        let arrived = eventually("a head", async || stores.registry.head().await).await;
        match published {
            Ok(outcome) => {
                in_time += 1;
                assert_eq!((outcome, &arrived), (Published::Done, &next));
            }
            Err(error) => {
                assert!(is_down(&error), "{error}");
                late += u32::from(arrived == next);
            }
        }
        let again = eventually("published again", async || {
            stores.registry.publish(head.registry_revision, &next).await
        });
        assert_eq!(again.await, Published::Done, "its own apply id is found");
        let log = eventually("a log", async || stores.registry.log(head.registry_revision, 10).await).await;
        assert_eq!(log, std::slice::from_ref(&next), "it is in the log once");
        head = next;

        let stored = eventually("a run", async || stores.runs.get(run(1, false).id).await).await;
        let version = stored.expect("it is there").version;
        match saved {
            Ok(saved) => assert_eq!((saved, version), (Saved::Done, 2)),
            Err(error) => assert!(is_down(&error), "{error}"),
        }
    }
    println!("{in_time} found out in time, {late} were applied after they were given up");
    assert!(late > 0 && in_time > 0, "both happen: {late}, {in_time}");
}

/// A request with a key whose claim timed out comes again, with the same proposal or another one: it is claimed once.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_timed_out_is_made_once() {
    let bed = Bed::start().await;
    let stores = bed.stores().await;
    let claim_of = |number| stores_claim(&stores, number);
    for (round, pause) in (0_u128..).zip([100, 300, 500, 700, 900, 1_100]) {
        eventually("a claim", async || claim_of(round * 10).await).await;
        let waiting = tokio::spawn({
            let claims = stores.claims.clone();
            async move {
                claims
                    .claim(
                        &key(&format!("k {}", round * 10 + 1)),
                        &claim(round * 10 + 1),
                        Timestamp::MIN,
                    )
                    .await
            }
        });
        // Between the list and the transaction, or in the middle of it.
        sleep(Duration::from_millis(u64::try_from(round).expect("small"))).await;
        bed.pause_for(Duration::from_millis(pause)).await.expect("resumed");
        let first = waiting.await.expect("no panic");
        let other = eventually("claimed again", async || {
            let name = key(&format!("k {}", round * 10 + 1));
            stores.claims.claim(&name, &claim(round * 10 + 2), Timestamp::MIN).await
        })
        .await;
        match (&first, &other) {
            (Ok(ClaimOutcome::Claimed), ClaimOutcome::Pending(pending)) => assert_eq!(*pending, claim(round * 10 + 1)),
            (Err(error), ClaimOutcome::Pending(pending)) => {
                assert!(is_down(error), "{error}");
                assert!(*pending == claim(round * 10 + 1) || *pending == claim(round * 10 + 2));
            }
            (Err(error), ClaimOutcome::Claimed) => assert!(is_down(error), "{error}"),
            other => panic!("{other:?}"),
        }
    }
}

async fn stores_claim(stores: &CassandraStores, number: u128) -> Result<ClaimOutcome> {
    stores
        .claims
        .claim(&key(&format!("k {number}")), &claim(number), Timestamp::MIN)
        .await
}

/// A holder that cannot renew stops in time; when the server is back somebody gets the lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_cannot_be_renewed_is_lost_in_time() {
    let bed = Bed::start().await;
    let stores = bed.patient_stores().await;
    let lease = stores.leases.acquire("tables/1.0").await.expect("it is free");
    let resumed = bed.pause_for(Duration::from_secs(4));
    sleep(Duration::from_millis(500)).await;
    assert!(lease.is_held(), "it lasts two seconds");
    sleep(Duration::from_millis(2_000)).await;
    assert!(!lease.is_held(), "it could be somebody else's");
    resumed.await.expect("resumed");
    sleep(Duration::from_millis(500)).await;
    assert!(!lease.is_held(), "and stays lost");
    let again = eventually("a lease", async || stores.leases.acquire("tables/1.0").await).await;
    assert!(again.is_held());
}
