//! Brokers that die and brokers that hang.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use forebay_storage::{BatchId, Provision, RowLog, StorageError, conformance::schemas};
use forebay_testbed::KafkaOptions;
use futures::future::join_all;

use super::{
    place::{Environment, OwnCluster, at},
    rows::{batch, fetch_all, fetch_partition, rows},
};
use crate::KafkaConfig;

async fn start() -> (OwnCluster, Environment) {
    let cluster = OwnCluster::start(KafkaOptions::default()).await;
    let config = KafkaConfig {
        append_timeout_ms: 2_000,
        request_timeout_ms: 3_000,
        ..at(&cluster.kafka.addresses())
    };
    (cluster, Environment::on(config))
}

fn is_down<T>(result: &Result<T, StorageError>) -> bool {
    matches!(
        result,
        Err(StorageError::Unavailable { .. } | StorageError::TimedOut { .. })
    )
}

/// Appends under load, each batch until it is acknowledged, while the broker is killed again and again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_killed_brokers() {
    const APPENDERS: u128 = 4;
    const ROWS: i64 = 40;
    let (cluster, environment) = start().await;
    let kafka = &cluster.kafka;
    let schema = schemas::prices(0);
    environment.row_log().ensure(&schema).await.expect("made");
    let stop = Arc::new(AtomicBool::new(false));
    let progress: Arc<[AtomicUsize]> = (0..APPENDERS).map(|_| AtomicUsize::new(0)).collect();
    let appenders = (0..APPENDERS).map(|appender| {
        let (log, schema, stop) = (environment.row_log(), schema.clone(), stop.clone());
        let progress = progress.clone();
        tokio::spawn(async move {
            let (mut acknowledged, mut attempts) = (Vec::new(), 0);
            for number in 0_u128.. {
                let id = batch((appender << 32) | (number + 1));
                loop {
                    attempts += 1;
                    let asked = Instant::now();
                    let appended = log.append(&schema, id, rows(&schema, 0..ROWS)).await;
                    assert!(
                        asked.elapsed() < Duration::from_secs(5),
                        "{appended:?} took {:?}",
                        asked.elapsed()
                    );
                    match appended {
                        Ok(_) => break,
                        Err(error) => {
                            assert!(is_down(&Err::<(), _>(error.clone())), "{error}");
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
                acknowledged.push(id);
                progress[appender as usize].fetch_add(1, Ordering::SeqCst);
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
            (acknowledged, attempts)
        })
    });
    let appenders: Vec<_> = appenders.collect();
    // All have gone on.
    let on = async || {
        let before: Vec<_> = progress.iter().map(|count| count.load(Ordering::SeqCst)).collect();
        let began = Instant::now();
        while progress
            .iter()
            .zip(&before)
            .any(|(count, before)| count.load(Ordering::SeqCst) < before + 2)
        {
            assert!(began.elapsed() < Duration::from_secs(30), "appends go on by themselves");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    };
    let mut recovered = Vec::new();
    for _ in 0..3 {
        on().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::block_in_place(|| kafka.restart()).expect("Kafka");
        recovered.push(on().await);
    }
    stop.store(true, Ordering::SeqCst);
    let mut acknowledged: Vec<BatchId> = Vec::new();
    let mut attempts = 0;
    for done in join_all(appenders).await {
        let (batches, tried) = done.expect("an appender");
        acknowledged.extend(batches);
        attempts += tried;
    }
    println!(
        "{} batches acknowledged in {attempts} attempts; appends went on {recovered:?} after the broker did",
        acknowledged.len()
    );

    // As the sinks take rows: in each partition the next ordinal of a batch, and nothing twice.
    let mut taken: BTreeMap<BatchId, i64> = BTreeMap::new();
    for rows in fetch_all(&*environment.row_log(), &schema).await.into_values() {
        let mut next: BTreeMap<BatchId, u32> = BTreeMap::new();
        for row in rows {
            let next = next.entry(row.batch).or_default();
            assert!(
                row.ordinal <= *next,
                "a row stands before one of its own attempt that comes first"
            );
            if row.ordinal == *next {
                *next += 1;
                *taken.entry(row.batch).or_default() += 1;
            }
        }
    }
    for id in acknowledged {
        assert_eq!(taken.get(&id), Some(&ROWS), "{id:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_broker_is_told_of_in_time_and_found_again() {
    let (cluster, environment) = start().await;
    let kafka = &cluster.kafka;
    let schema = schemas::prices(0);
    let log = environment.row_log();
    log.ensure(&schema).await.expect("made");
    let append = async |number| {
        let began = Instant::now();
        let appended = log.append(&schema, batch(number), rows(&schema, 0..10)).await;
        (appended, began.elapsed())
    };
    let fetch = async || {
        let began = Instant::now();
        let wait = Duration::from_millis(300);
        let fetched = log.fetch(&schema, 0, 0, 1, wait).await;
        (fetched, began.elapsed())
    };
    append(1).await.0.expect("appended");
    let next = fetch_partition(&*log, &schema, 0).await.next;
    log.fetch(&schema, 0, next, 1, Duration::from_millis(300))
        .await
        .expect("nothing");
    kafka.pause();
    let (appended, took) = append(2).await;
    assert!(
        is_down(&appended) && took < Duration::from_secs(3),
        "{appended:?} after {took:?}"
    );
    let (appended, took) = append(3).await;
    assert!(
        is_down(&appended) && took < Duration::from_millis(500),
        "{appended:?} after {took:?}"
    );
    let (bounds, began) = (log.bounds(&schema).await, Instant::now());
    assert!(
        is_down(&bounds) && began.elapsed() < Duration::from_secs(5),
        "{bounds:?}"
    );
    // At the end of the partition nothing comes, which becomes an error when the brokers have not been heard of for too long.
    let hung = Instant::now();
    loop {
        let began = Instant::now();
        let fetched = log.fetch(&schema, 0, next, 1, Duration::from_millis(300)).await;
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{fetched:?} after {:?}",
            began.elapsed()
        );
        if is_down(&fetched) {
            break;
        }
        assert!(hung.elapsed() < Duration::from_secs(15), "{fetched:?}");
    }
    kafka.resume();
    let resumed = Instant::now();
    while append(4).await.0.is_err() {
        assert!(
            resumed.elapsed() < Duration::from_secs(20),
            "appends go on by themselves"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("appends went on {:?} after the broker did", resumed.elapsed());
    while fetch().await.0.is_err() {
        assert!(resumed.elapsed() < Duration::from_secs(30), "reading goes on by itself");
    }
    println!("reading went on {:?} after the broker did", resumed.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_is_told_from_brokers_that_are_down() {
    let (cluster, environment) = start().await;
    let kafka = &cluster.kafka;
    let environment = Environment {
        config: KafkaConfig {
            append_bytes: 64 << 10,
            ..environment.config
        },
        ..environment
    };
    let schema = schemas::prices(0);
    let log = environment.row_log();
    log.ensure(&schema).await.expect("made");
    log.append(&schema, batch(1), rows(&schema, 0..10_000))
        .await
        .expect("one that is larger than the queue has it for itself");
    kafka.pause();
    let began = Instant::now();
    let waiting = (2..12).map(|number| log.append(&schema, batch(number), rows(&schema, 0..100)));
    let full = join_all(waiting).await;
    assert!(began.elapsed() < Duration::from_secs(4));
    assert!(
        full.iter()
            .any(|appended| matches!(appended, Err(StorageError::Full { .. }))),
        "{full:?}"
    );
    assert!(full.iter().any(is_down), "{full:?}");
    let down = log.append(&schema, batch(20), rows(&schema, 0..100)).await;
    assert!(matches!(down, Err(StorageError::Unavailable { .. })), "{down:?}");
    kafka.resume();
    let resumed = Instant::now();
    while log.append(&schema, batch(30), rows(&schema, 0..100)).await.is_err() {
        assert!(
            resumed.elapsed() < Duration::from_secs(20),
            "appends go on by themselves"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_go_on_without_one() {
    let cluster = OwnCluster::start(KafkaOptions {
        brokers: 3,
        heap_mib: 256,
        ..KafkaOptions::default()
    })
    .await;
    let environment = Environment::on(at(&cluster.kafka.addresses()));
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    let mut longest = Duration::ZERO;
    let mut appended = 0;
    for number in 0..60 {
        if number == 20 {
            cluster.kafka.brokers()[1].kill();
        }
        let began = Instant::now();
        while let Err(error) = log.append(&schema, batch(number + 1), rows(&schema, 0..30)).await {
            assert!(is_down(&Err::<(), _>(error)));
            assert!(began.elapsed() < Duration::from_secs(60), "appends go on by themselves");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        longest = longest.max(began.elapsed());
        appended += 30;
    }
    println!("the longest append took {longest:?}");
    let found = fetch_all(&*environment.row_log(), &schema).await;
    let identities: std::collections::BTreeSet<_> =
        found.values().flatten().map(|row| (row.batch, row.index)).collect();
    assert_eq!(identities.len(), appended, "all rows are there");
}
