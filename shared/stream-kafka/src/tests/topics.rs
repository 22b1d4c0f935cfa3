//! Topics that are not what they should be, and times.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use forebay_model::{Clock, SystemClock, Timestamp};
use forebay_rows::RowHead;
use forebay_storage::{Provision, RowLog, StorageError, conformance::schemas};
use futures::future::join_all;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use super::{
    place::{Environment, shared_cluster},
    rows::{batch, fetch, fetch_all, rows},
};
use crate::KafkaConfig;

fn is_gone<T>(result: &Result<T, StorageError>) -> bool {
    matches!(result, Err(StorageError::Gone { .. }))
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_again_is_another_one() {
    let environment = Environment::on(shared_cluster());
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    let appended = log
        .append(&schema, batch(1), rows(&schema, 0..30))
        .await
        .expect("appended");
    let identity = log.identity(&schema).await.expect("an identity");
    let partition = appended[0].partition;
    let next = fetch(&*log, &schema, partition, 0).await.next;

    let topics = environment.topics();
    topics
        .delete(&[environment.names().rows(&schema)])
        .await
        .expect("deleted");
    let other = environment.row_log();
    other.ensure(&schema).await.expect("made again");
    assert_ne!(other.identity(&schema).await.expect("an identity"), identity);
    let too_soon = log.append(&schema, batch(3), rows(&schema, [1])).await;
    assert!(
        is_gone(&too_soon),
        "it stands where no reader of the first one looks: {too_soon:?}"
    );
    other
        .append(&schema, batch(2), rows(&schema, 0..300))
        .await
        .expect("appended");

    let wait = Duration::from_millis(300);
    until("who reads on hears of it", async || {
        is_gone(&log.fetch(&schema, partition, next, 1 << 20, wait).await)
    })
    .await;
    assert!(is_gone(&log.append(&schema, batch(3), rows(&schema, [1])).await));
    assert!(is_gone(&log.bounds(&schema).await));
    assert!(
        is_gone(&other.fetch(&schema, partition, 10_000, 1 << 20, wait).await),
        "a position that the topic does not reach"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_gone_is_noticed_by_who_waits_for_rows() {
    let environment = Environment::on(shared_cluster());
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    fetch(&*log, &schema, 0, 0).await;
    environment
        .topics()
        .delete(&[environment.names().rows(&schema)])
        .await
        .expect("deleted");
    let wait = Duration::from_millis(300);
    until("it is gone", async || {
        is_gone(&log.fetch(&schema, 0, 0, 1 << 20, wait).await)
    })
    .await;
    let append = log.append(&schema, batch(1), rows(&schema, [1])).await;
    assert!(is_gone(&append), "{append:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_would_lose_rows_is_refused() {
    let environment = Environment::on(shared_cluster());
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    let name = environment.names().rows(&schema);
    let admin: AdminClient<DefaultClientContext> = environment.config.client().create().expect("a client");
    let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1)).set("message.timestamp.type", "CreateTime");
    admin.create_topics([&topic], &AdminOptions::new()).await.expect("made");
    let refused = log.ensure(&schema).await.expect_err("refused").to_string();
    assert!(
        refused.contains("message.timestamp.type=CreateTime") && refused.contains(&name),
        "{refused}"
    );

    let too_many = Environment::on(KafkaConfig {
        replication: 7,
        ..shared_cluster()
    });
    let refused = too_many.row_log().ensure(&schema).await.expect_err("refused");
    assert!(matches!(refused, StorageError::Misconfigured { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_times_never_appear_below_what_has_settled() {
    let environment = Environment::on(KafkaConfig {
        partitions: 1,
        delivery_bound_ms: 5_000,
        clock_tolerance_ms: 200,
        ..shared_cluster()
    });
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    let first = log
        .fetch(&schema, 0, 0, 1, Duration::from_secs(1))
        .await
        .expect("fetched");
    let mut settled = first.settled.expect("an empty partition settles");
    let ingest_time = |row: &forebay_storage::LoggedRow| RowHead::read(&row.row).expect("a row").ingest_time;
    let mut next = 0;
    // Taken in long before it was appended, and just now.
    for (number, age) in [(1, 3_600_000_000), (2, 0)] {
        let now = SystemClock.now();
        let mut row = rows(&schema, [number]);
        let mut bytes = row[0].row.to_vec();
        let sent = Timestamp::from_micros(now.micros() - age);
        forebay_rows::packed::patch_ingest_time(&mut bytes, sent).expect("a row");
        row[0].row = bytes.into();
        log.append(&schema, batch(1), row).await.expect("appended");
        let fetched = fetch(&*log, &schema, 0, next).await;
        next = fetched.next;
        let found = ingest_time(&fetched.rows[0]);
        assert!(found >= settled, "{found} appeared after {settled}");
        if age == 0 {
            assert_eq!(
                found, sent,
                "what was on its way for less than the bound keeps its time"
            );
        } else {
            let appended = found.micros() + 5_000_000;
            let earliest = now.micros() - 1_000;
            assert!(
                (earliest..=SystemClock.now().micros()).contains(&appended),
                "{appended}"
            );
        }
        settled = settled.max(fetched.settled.expect("settled"));
    }
    let reader = environment.row_log();
    assert_eq!(
        fetch(&*reader, &schema, 0, 0).await.rows,
        fetch(&*log, &schema, 0, 0).await.rows,
        "every reader finds the same times"
    );
    let wait = Duration::from_millis(300);
    let moment = SystemClock.now();
    until("it settles while nothing comes", async || {
        let idle = log.fetch(&schema, 0, next, 1, wait).await.expect("fetched");
        idle.settled.is_some_and(|settled| settled > moment)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_append_to_one_group_at_once() {
    let environment = Environment::on(shared_cluster());
    let schema = schemas::prices(0);
    environment.row_log().ensure(&schema).await.expect("made");
    let processes = (0..3_u128).map(|process| {
        let (log, schema) = (environment.row_log(), schema.clone());
        tokio::spawn(async move {
            let mut places = Vec::new();
            for number in 0..20 {
                let id = batch(process * 100 + number + 1);
                let appended = log.append(&schema, id, rows(&schema, 0..50)).await.expect("appended");
                assert_eq!(appended.iter().map(|range| range.count).sum::<u64>(), 50);
                places.extend(appended.into_iter().map(|range| (id, range)));
            }
            places
        })
    });
    let mut expected = BTreeSet::new();
    for places in join_all(processes).await {
        for (id, range) in places.expect("a process") {
            expected.extend((range.first..range.first + range.count).map(|offset| (range.partition, offset, id)));
        }
    }
    let mut found = BTreeSet::new();
    for (partition, rows) in fetch_all(&*environment.row_log(), &schema).await {
        let mut ordinals = std::collections::BTreeMap::new();
        for row in rows {
            let ordinal = ordinals.entry(row.batch).or_insert(0);
            assert_eq!(row.ordinal, *ordinal, "a batch's rows are in order");
            *ordinal += 1;
            found.insert((partition, row.offset, row.batch));
        }
    }
    assert_eq!(found.len(), 3_000);
    assert_eq!(found, expected, "every row stands where its appender was told");
}
