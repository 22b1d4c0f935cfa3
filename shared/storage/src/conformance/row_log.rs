//! What every row log must do.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use forebay_model::{Clock, GroupSchema, Sequence, SystemClock};
use forebay_rows::{
    RowHead,
    packed::{patch_ingest_time, patch_sequence},
};
use futures::future::join_all;
use uuid::Uuid;

use super::{Installation, rows::PlainRow, schemas};
use crate::{Appended, BatchId, LogRow, LoggedRow, RowLog, StorageError, Topic};

type Place = dyn Installation<dyn RowLog>;

/// Runs the whole suite; `fresh` gives a place for an empty log each time.
pub async fn row_log<I: Installation<dyn RowLog> + 'static>(fresh: impl AsyncFn() -> I) {
    a_topic_must_be_made_first(&fresh().await).await;
    rows_come_back_in_order_with_their_places(&fresh().await).await;
    appended_rows_survive_reopening(&fresh().await).await;
    any_offset_can_be_fetched(&fresh().await).await;
    no_row_of_a_time_stands_before_its_offset(&fresh().await).await;
    fetching_waits_for_rows(&fresh().await).await;
    concurrent_appenders_keep_their_order(&fresh().await).await;
    a_repeated_batch_has_the_same_identities(&fresh().await).await;
    generations_have_topics_of_their_own(&fresh().await).await;
    released_rows_may_go_others_stay(&fresh().await).await;
    purging_removes_the_topics(&fresh().await).await;
}

fn batch(number: u128) -> BatchId {
    BatchId(Uuid::from_u128(number))
}

fn rows(schema: &Arc<GroupSchema>, ids: impl IntoIterator<Item = i64>) -> Vec<LogRow> {
    ids.into_iter()
        .map(|id| {
            let row = PlainRow::price(id, id, 0, id as f64).packed(schema);
            LogRow {
                key: row.key,
                row: row.row,
            }
        })
        .collect()
}

/// All rows that the log holds, by partition, fetched from its first offset on.
async fn fetch_all(log: &dyn RowLog, schema: &Arc<GroupSchema>, max_bytes: usize) -> BTreeMap<u32, Vec<LoggedRow>> {
    let mut all = BTreeMap::new();
    for (partition, (first, end)) in (0..).zip(log.bounds(schema).await.expect("bounds")) {
        let mut rows = Vec::new();
        let mut from = first;
        while from < end {
            let fetched = log
                .fetch(schema, partition, from, max_bytes, Duration::ZERO)
                .await
                .expect("fetched");
            assert!(!fetched.rows.is_empty(), "there are rows from {from} to {end}");
            assert!(
                fetched
                    .rows
                    .iter()
                    .all(|row| row.offset >= from && row.offset < fetched.next),
                "rows are in place"
            );
            from = fetched.next;
            rows.extend(fetched.rows);
        }
        assert!(
            rows.windows(2).all(|pair| pair[0].offset < pair[1].offset),
            "offsets ascend"
        );
        all.insert(partition, rows);
    }
    all
}

fn count(appended: &[Appended]) -> u64 {
    appended.iter().map(|appended| appended.count).sum()
}

async fn a_topic_must_be_made_first(place: &Place) {
    let log = place.open().await;
    let schema = schemas::prices(0);
    let appended = log.append(&schema, batch(1), rows(&schema, [1])).await;
    assert!(
        matches!(appended, Err(StorageError::NotProvisioned { .. })),
        "{appended:?}"
    );
    let fetched = log.fetch(&schema, 0, 0, 1, Duration::ZERO).await;
    assert!(
        matches!(fetched, Err(StorageError::NotProvisioned { .. })),
        "{fetched:?}"
    );
    log.ensure(&schema).await.expect("made");
    log.ensure(&schema).await.expect("made already");
    let bounds = log.bounds(&schema).await.expect("bounds");
    assert!(
        !bounds.is_empty() && bounds.iter().all(|&bounds| bounds == (0, 0)),
        "{bounds:?}"
    );
    let fetched = log.fetch(&schema, 0, 0, 1, Duration::ZERO).await.expect("fetched");
    assert_eq!((fetched.rows.len(), fetched.next), (0, 0), "it is empty");
    assert_eq!(
        count(&log.append(&schema, batch(1), Vec::new()).await.expect("nothing")),
        0
    );
}

async fn rows_come_back_in_order_with_their_places(place: &Place) {
    let log = place.open().await;
    let schema = schemas::prices(0);
    log.ensure(&schema).await.expect("made");
    let sent = rows(&schema, 0..100);
    for (number, rows) in (1..).zip(sent.chunks(7)) {
        let appended = log
            .append(&schema, batch(number), rows.to_vec())
            .await
            .expect("appended");
        assert_eq!(count(&appended), rows.len() as u64, "every row has a place");
    }
    let mut found = 0;
    for (partition, logged) in fetch_all(&*log, &schema, 1).await {
        let mut last: BTreeMap<BatchId, u32> = BTreeMap::new();
        let mut counted: BTreeMap<BatchId, u32> = BTreeMap::new();
        for row in logged {
            let ordinal = counted.entry(row.batch).or_default();
            assert_eq!(row.ordinal, *ordinal, "rows of a batch are counted in each partition");
            *ordinal += 1;
            let number = (row.batch.0.as_u128() - 1) as usize * 7 + row.index as usize;
            assert_eq!(row.key, sent[number].key, "batch and index name the row that was sent");
            let head = RowHead::read(&row.row).expect("a row");
            assert_eq!(
                Some(head.sequence),
                Sequence::of_position(schema.generation, row.offset),
                "its sequence is its position"
            );
            let sent_head = RowHead::read(&sent[number].row).expect("a row");
            assert!(
                head.ingest_time >= sent_head.ingest_time,
                "an ingest time is only ever raised"
            );
            let mut unset = row.row.to_vec();
            patch_sequence(&mut unset, Sequence::from_raw(0).expect("zero")).expect("a row");
            patch_ingest_time(&mut unset, sent_head.ingest_time).expect("a row");
            assert_eq!(unset, sent[number].row, "and nothing else was changed");
            let before = last.insert(row.batch, row.index);
            assert!(
                before.is_none_or(|before| before < row.index),
                "partition {partition} keeps the batch's order"
            );
            found += 1;
        }
    }
    assert_eq!(found, 100);
}

async fn appended_rows_survive_reopening(place: &Place) {
    let mut log = place.open().await;
    let schema = schemas::prices(0);
    log.ensure(&schema).await.expect("made");
    let mut appended = Vec::new();
    for round in 0..5 {
        for number in 0..20 {
            let id = round * 20 + number;
            appended.extend(
                log.append(&schema, batch(id as u128), rows(&schema, [id]))
                    .await
                    .expect("appended"),
            );
        }
        drop(log);
        log = place.open().await;
        let all = fetch_all(&*log, &schema, 10_000).await;
        assert_eq!(all.values().map(Vec::len).sum::<usize>() as i64, (round + 1) * 20);
        for (id, place) in appended.iter().enumerate() {
            let row = all[&place.partition]
                .iter()
                .find(|row| row.offset == place.first)
                .expect("it has its place");
            assert_eq!(row.batch, batch(id as u128));
        }
    }
}

async fn any_offset_can_be_fetched(place: &Place) {
    let mut log = place.open().await;
    let schema = schemas::prices(0);
    log.ensure(&schema).await.expect("made");
    // Large enough that no backend has them all in one piece.
    let mut large = rows(&schema, 0..60);
    for row in &mut large {
        let mut plain = PlainRow::price(0, 0, 0, 0.0);
        plain.features[1] = forebay_model::Value::String("x".repeat(40_000));
        row.row = plain.packed(&schema).row;
    }
    log.append(&schema, batch(1), large).await.expect("appended");
    for id in 0..200 {
        log.append(&schema, batch(2), rows(&schema, [id]))
            .await
            .expect("appended");
    }
    for reopened in [false, true] {
        for (partition, (first, end)) in (0..).zip(log.bounds(&schema).await.expect("bounds")) {
            for from in first..end {
                let fetched = log
                    .fetch(&schema, partition, from, 1, Duration::ZERO)
                    .await
                    .expect("fetched");
                assert_eq!(
                    fetched.rows.first().map(|row| row.offset),
                    Some(from),
                    "reopened: {reopened}"
                );
                assert_eq!(fetched.next, fetched.rows.last().expect("a row").offset + 1);
            }
            let fetched = log
                .fetch(&schema, partition, end, 1, Duration::ZERO)
                .await
                .expect("fetched");
            assert_eq!(
                (fetched.rows.len(), fetched.next),
                (0, end),
                "there is nothing at the end"
            );
        }
        drop(log);
        log = place.open().await;
    }
}

async fn no_row_of_a_time_stands_before_its_offset(place: &Place) {
    let log = place.open().await;
    let schema = schemas::prices(0);
    log.ensure(&schema).await.expect("made");
    let begun = SystemClock.now();
    log.append(&schema, batch(1), rows(&schema, 0..40))
        .await
        .expect("appended");
    // Apart by more than the clocks of one machine and the milliseconds that a log may count in.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let between = SystemClock.now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let later = log
        .append(&schema, batch(2), rows(&schema, 0..40))
        .await
        .expect("appended");
    let ever = SystemClock
        .now()
        .saturating_add(forebay_model::Duration::from_micros(3_600_000_000));
    for (partition, (first, end)) in (0..).zip(log.bounds(&schema).await.expect("bounds")) {
        let at = async |time| log.offset_at(&schema, partition, time).await.expect("an offset");
        assert_eq!(
            at(begun.saturating_sub(forebay_model::Duration::from_micros(1_000_000))).await,
            first
        );
        let second = later
            .iter()
            .filter(|appended| appended.partition == partition)
            .map(|appended| appended.first)
            .min();
        let (between, ever) = (at(between).await, at(ever).await);
        assert!(
            between <= second.unwrap_or(end),
            "{between} of {first} to {end}, {later:?}"
        );
        assert!(
            between <= ever && ever <= end,
            "{between} and {ever} of {first} to {end}"
        );
    }
}

async fn fetching_waits_for_rows(place: &Place) {
    let log = place.open().await;
    let schema = schemas::prices(0);
    log.ensure(&schema).await.expect("made");
    let partitions = log.bounds(&schema).await.expect("bounds").len() as u32;
    let waiting = (0..partitions).map(|partition| {
        let (log, schema) = (log.clone(), schema.clone());
        tokio::spawn(async move {
            let fetched = log
                .fetch(&schema, partition, 0, 1_000, Duration::from_secs(2))
                .await
                .expect("fetched");
            fetched.rows.len()
        })
    });
    let waiting: Vec<_> = waiting.collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    log.append(&schema, batch(1), rows(&schema, [1]))
        .await
        .expect("appended");
    let found: usize = join_all(waiting)
        .await
        .into_iter()
        .map(|rows| rows.expect("a fetch"))
        .sum();
    assert_eq!(found, 1, "a waiting fetch sees the row");
}

async fn concurrent_appenders_keep_their_order(place: &Place) {
    const APPENDERS: i64 = 8;
    const APPENDS: i64 = 40;
    let log = place.open().await;
    let schema = schemas::prices(0);
    log.ensure(&schema).await.expect("made");
    let appenders = (0..APPENDERS).map(|appender| {
        let (log, schema) = (log.clone(), schema.clone());
        tokio::spawn(async move {
            let mut places = Vec::new();
            for number in 0..APPENDS {
                let id = appender * APPENDS + number;
                // Three rows of one key: one partition, one after the other.
                let appended = log
                    .append(
                        &schema,
                        batch(id as u128),
                        rows(&schema, [appender, appender, appender]),
                    )
                    .await;
                places.extend(appended.expect("appended"));
            }
            places
        })
    });
    let mut taken = BTreeMap::new();
    for places in join_all(appenders).await {
        let places = places.expect("an appender");
        assert!(
            places.windows(2).all(|pair| pair[0].first < pair[1].first),
            "what was appended later stands later"
        );
        for place in places {
            for offset in place.first..place.first + place.count {
                assert_eq!(
                    taken.insert((place.partition, offset), ()),
                    None,
                    "no two rows have one place"
                );
            }
        }
    }
    let all = fetch_all(&*log, &schema, 100_000).await;
    let found: Vec<_> = all
        .iter()
        .flat_map(|(partition, rows)| rows.iter().map(|row| (*partition, row.offset)))
        .collect();
    assert_eq!(found, taken.into_keys().collect::<Vec<_>>(), "every place has its row");
    for logged in all.values().flatten().collect::<Vec<_>>().chunks(3) {
        assert!(
            logged.iter().map(|row| row.index).eq(0..3),
            "the rows of a batch stand together"
        );
    }
}

async fn a_repeated_batch_has_the_same_identities(place: &Place) {
    let log = place.open().await;
    let schema = schemas::prices(0);
    log.ensure(&schema).await.expect("made");
    let sent = rows(&schema, 0..10);
    for _ in 0..2 {
        log.append(&schema, batch(1), sent.clone()).await.expect("appended");
    }
    let mut by_identity: BTreeMap<(BatchId, u32), Vec<LoggedRow>> = BTreeMap::new();
    for row in fetch_all(&*log, &schema, 1_000).await.into_values().flatten() {
        by_identity.entry((row.batch, row.index)).or_default().push(row);
    }
    assert_eq!(by_identity.len(), 10);
    for ((_, index), copies) in by_identity {
        assert_eq!(copies.len(), 2, "the log itself drops nothing");
        assert!(copies.iter().all(|copy| copy.key == sent[index as usize].key));
    }
}

async fn generations_have_topics_of_their_own(place: &Place) {
    let log = place.open().await;
    let schema = schemas::prices(0);
    let next = Arc::new(GroupSchema {
        generation: forebay_model::Generation(1),
        ..(*schema).clone()
    });
    log.ensure(&schema).await.expect("made");
    log.ensure(&next).await.expect("made");
    log.append(&schema, batch(1), rows(&schema, 0..5))
        .await
        .expect("appended");
    log.append(&next, batch(1), rows(&next, 0..2)).await.expect("appended");
    let highest = |all: BTreeMap<u32, Vec<LoggedRow>>| {
        all.into_values()
            .flatten()
            .map(|row| RowHead::read(&row.row).expect("a row").sequence)
            .max()
            .expect("rows")
    };
    let (old, new) = (
        fetch_all(&*log, &schema, 1_000).await,
        fetch_all(&*log, &next, 1_000).await,
    );
    assert_eq!(
        (
            old.values().map(Vec::len).sum::<usize>(),
            new.values().map(Vec::len).sum::<usize>()
        ),
        (5, 2)
    );
    assert!(
        highest(new) > highest(old),
        "a later generation's rows come after all of an earlier one's"
    );
}

async fn released_rows_may_go_others_stay(place: &Place) {
    let mut log = place.open().await;
    let schema = schemas::prices(0);
    let topic = Topic::of(&schema);
    log.ensure(&schema).await.expect("made");
    let partitions = log.bounds(&schema).await.expect("bounds").len() as u32;
    for partition in 0..partitions {
        for consumer in ["online", "offline"] {
            log.release(topic, partition, consumer, 0).await.expect("announced");
        }
    }
    for id in 0..100 {
        log.append(&schema, batch(id as u128), rows(&schema, [id; 20]))
            .await
            .expect("appended");
    }
    for (partition, (_, end)) in (0..).zip(log.bounds(&schema).await.expect("bounds")) {
        log.release(topic, partition, "online", end).await.expect("released");
        log.release(topic, partition, "offline", end / 2)
            .await
            .expect("released");
        log.release(topic, partition, "offline", end / 4)
            .await
            .expect("an older release takes nothing back");
    }
    for reopened in [false, true] {
        for (partition, (first, end)) in (0..).zip(log.bounds(&schema).await.expect("bounds")) {
            assert!(first <= end / 2, "what one consumer needs stays, reopened: {reopened}");
            if end > 0 {
                let fetched = log
                    .fetch(&schema, partition, end / 2, 1, Duration::ZERO)
                    .await
                    .expect("fetched");
                assert_eq!(fetched.rows[0].offset, end / 2);
            }
        }
        drop(log);
        log = place.open().await;
    }
    let before = log.bounds(&schema).await.expect("bounds");
    for (partition, (_, end)) in (0..).zip(before.clone()) {
        for consumer in ["online", "offline"] {
            log.release(topic, partition, consumer, end).await.expect("released");
        }
    }
    drop(log);
    log = place.open().await;
    let after = log.bounds(&schema).await.expect("bounds");
    for (before, after) in before.iter().zip(after) {
        assert_eq!(before.1, after.1, "offsets go on where they were, whatever was dropped");
    }
}

async fn purging_removes_the_topics(place: &Place) {
    let log = place.open().await;
    let schema = schemas::prices(0);
    log.purge(&schema).await.expect("there is nothing, and that is well");
    log.ensure(&schema).await.expect("made");
    log.append(&schema, batch(1), rows(&schema, 0..5))
        .await
        .expect("appended");
    log.purge(&schema).await.expect("purged");
    log.purge(&schema).await.expect("purged already");
    let appended = log.append(&schema, batch(1), rows(&schema, [1])).await;
    assert!(
        matches!(appended, Err(StorageError::NotProvisioned { .. })),
        "{appended:?}"
    );
}
