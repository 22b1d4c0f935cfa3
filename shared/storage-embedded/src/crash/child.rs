//! What the process does that is killed, or has no space left. It tells each thing that was acknowledged in a line of its own.

use std::{path::PathBuf, sync::Arc, time::Duration};

use forebay_model::Timestamp;
use forebay_storage::{
    BatchId, Claim, ClaimKey, ClaimStore, Head, LogRow, OnlineRow, OnlineStore, Progress, Provision, Published,
    RegistryStore, RowLog, RunStore, StorageError, StoredRun, Topic,
    conformance::{rows::PlainRow, schemas},
};
use uuid::Uuid;

use super::{DIRECTORY, open, options};
use crate::{EmbeddedStores, OpenError};

/// Appenders, each with keys of its own.
pub(super) const APPENDERS: i64 = 4;
/// Keys of an appender.
pub(super) const KEYS: i64 = 40;
/// The consumer that brings the log online.
pub(super) const CONSUMER: &str = "rows/7.0/0";

fn directory() -> PathBuf {
    std::env::var_os(DIRECTORY)
        .expect("a parent that names the directory")
        .into()
}

/// Row `number` of an appender: a later one has a later event time, and comes back to the same key.
pub(super) fn row(appender: i64, number: i64) -> PlainRow {
    PlainRow::price(appender * KEYS + number % KEYS, number, 0, number as f64)
}

pub(super) fn batch(appender: i64, number: i64) -> BatchId {
    BatchId(Uuid::from_u64_pair(appender as u64, number as u64))
}

/// Brings what the log holds into the online store, from where that is durably.
pub(super) async fn replay(stores: &EmbeddedStores, max_bytes: usize) -> u64 {
    let schema = schemas::prices(0);
    let mut next = stores.online.progress(CONSUMER).await.expect("progress").unwrap_or(0) as u64;
    loop {
        let fetched = stores
            .row_log
            .fetch(&schema, 0, next, max_bytes, Duration::ZERO)
            .await
            .expect("fetched");
        if fetched.rows.is_empty() {
            return next;
        }
        next = fetched.next;
        let rows = fetched
            .rows
            .into_iter()
            .map(|row| OnlineRow {
                key: row.key,
                row: row.row,
            })
            .collect();
        let progress = Progress {
            consumer: CONSUMER.to_owned(),
            position: next as i64,
        };
        stores
            .online
            .upsert(&schema, rows, Some(progress))
            .await
            .expect("upserted");
    }
}

fn tell(line: &str) {
    println!("did {line}");
}

#[test]
#[ignore = "started by a_second_process_is_refused"]
fn finds_the_directory_in_use() {
    let refused = EmbeddedStores::open(&directory(), options())
        .err()
        .expect("the parent has it");
    assert!(matches!(refused, OpenError::InUse { .. }));
    let message = refused.to_string();
    assert!(message.contains("(process "), "it names the owner: {message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[ignore = "started and killed by what_was_acknowledged_survives_kills"]
async fn works_until_killed() {
    let stores = Arc::new(open(&directory()));
    let schema = schemas::prices(0);
    stores.row_log.ensure(&schema).await.expect("made");
    stores.online.ensure(&schema).await.expect("made");
    // Rows go on after those of the process before, acknowledged or not.
    let start: i64 = std::env::var("FOREBAY_TEST_START")
        .expect("a parent")
        .parse()
        .expect("a number");
    for appender in 0..APPENDERS {
        let (stores, schema) = (stores.clone(), schema.clone());
        tokio::spawn(async move {
            for number in start.. {
                let packed = row(appender, number).packed(&schema);
                let row = LogRow {
                    key: packed.key,
                    row: packed.row,
                };
                let appended = stores
                    .row_log
                    .append(&schema, batch(appender, number), vec![row])
                    .await
                    .expect("appended");
                tell(&format!("append {appender} {number} {}", appended[0].first));
            }
        });
    }
    {
        let stores = stores.clone();
        tokio::spawn(async move {
            loop {
                replay(&stores, 5_000).await;
                let durable = stores.online.progress(CONSUMER).await.expect("progress").unwrap_or(0) as u64;
                let topic = Topic::of(&schemas::prices(0));
                stores
                    .row_log
                    .release(topic, 0, "online", durable)
                    .await
                    .expect("released");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    {
        let stores = stores.clone();
        tokio::spawn(async move {
            loop {
                let mut head: Head = stores.registry.head().await.expect("a head");
                let expected = head.registry_revision;
                head.registry_revision += 1;
                head.manifest.next_group_id += 1;
                let published = stores.registry.publish(expected, &head).await.expect("published");
                assert_eq!(published, Published::Done);
                tell(&format!("publish {}", head.registry_revision));
            }
        });
    }
    for number in start.. {
        let run = StoredRun {
            id: Uuid::from_u128(number as u128),
            version: 1,
            finished: false,
            content: number.to_string(),
        };
        stores.runs.save(&run).await.expect("saved");
        tell(&format!("run {number}"));
        let key = ClaimKey {
            scope: "rows".to_owned(),
            key: number.to_string(),
        };
        let claim = Claim {
            body_hash: number as u128,
            batch: batch(0, number),
            ingest_time: Timestamp::from_micros(number),
        };
        stores
            .claims
            .claim(&key, &claim, Timestamp::from_micros(0))
            .await
            .expect("claimed");
        tell(&format!("claim {number}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started with a limit on the size of files by a_full_disk_stops_writes_and_nothing_else"]
async fn works_until_there_is_no_space() {
    let stores = EmbeddedStores::open(&directory(), crate::Options::default()).expect("the directory is free");
    let schema = schemas::prices(0);
    stores.row_log.ensure(&schema).await.expect("made");
    stores.online.ensure(&schema).await.expect("made");
    let mut appended = 0;
    let refused = loop {
        let mut plain = row(0, appended);
        plain.features[1] = forebay_model::Value::String("x".repeat(10_000));
        let packed = plain.packed(&schema);
        let logged = LogRow {
            key: packed.key.clone(),
            row: packed.row.clone(),
        };
        match stores.row_log.append(&schema, batch(0, appended), vec![logged]).await {
            Ok(_) => tell(&format!("append 0 {appended} 0")),
            Err(error) => break error,
        }
        appended += 1;
    };
    assert!(matches!(refused, StorageError::NoSpace { .. }), "{refused}");
    assert!(
        refused.to_string().contains("free space"),
        "it says what to do: {refused}"
    );
    let mut upserted = 0;
    let refused = loop {
        let mut plain = PlainRow::price(upserted, 1, 1, 1.0);
        plain.features[1] = forebay_model::Value::String("x".repeat(10_000));
        stores
            .online
            .upsert(&schema, vec![plain.packed(&schema)], None)
            .await
            .expect("the overlay has room");
        upserted += 1;
        if upserted % 50 == 0
            && let Err(error) = stores.online.flush().await
        {
            break error;
        }
    };
    assert!(matches!(refused, StorageError::NoSpace { .. }), "{refused}");
    // Reads go on: the log from its beginning, and every row that was upserted, flushed or not.
    let fetched = stores
        .row_log
        .fetch(&schema, 0, 0, 1_000, Duration::ZERO)
        .await
        .expect("the log is read");
    assert_eq!(fetched.rows[0].offset, 0);
    for id in 0..upserted {
        let row = super::full_disk::read(&*stores.online, id).await;
        assert!(row.is_some(), "row {id} of {upserted} is read");
    }
    // And a write that needs no space is still one that fails clearly, again and again.
    let again = stores.online.flush().await;
    assert!(matches!(again, Err(StorageError::NoSpace { .. })), "{again:?}");
    tell(&format!("read {appended} {upserted}"));
}
