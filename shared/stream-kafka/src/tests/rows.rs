//! Rows for these tests, and reading all of a log.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use forebay_model::{Clock, GroupSchema, SystemClock, Value};
use forebay_storage::{BatchId, Fetched, LogRow, LoggedRow, RowLog, conformance::rows::PlainRow};
use uuid::Uuid;

pub(super) fn batch(number: u128) -> BatchId {
    BatchId(Uuid::from_u128(number))
}

/// Rows of `schemas::prices` that were taken in just now.
pub(super) fn rows(schema: &Arc<GroupSchema>, ids: impl IntoIterator<Item = i64>) -> Vec<LogRow> {
    let now = SystemClock.now().micros();
    ids.into_iter()
        .map(|id| {
            let mut plain = PlainRow::price(id, now, 0, id as f64);
            if schema.layout.0 > 0 {
                plain.features.push(Value::Vector(vec![1.0, 2.0]));
            }
            let row = plain.packed(schema);
            LogRow {
                key: row.key,
                row: row.row,
            }
        })
        .collect()
}

pub(super) async fn fetch(log: &dyn RowLog, schema: &Arc<GroupSchema>, partition: u32, from: u64) -> Fetched {
    log.fetch(schema, partition, from, 1 << 20, Duration::ZERO)
        .await
        .expect("fetched")
}

/// Everything in a partition from its first offset on.
pub(super) async fn fetch_partition(log: &dyn RowLog, schema: &Arc<GroupSchema>, partition: u32) -> Fetched {
    let (first, end) = log.bounds(schema).await.expect("bounds")[partition as usize];
    let mut all = Fetched {
        next: first,
        ..Fetched::default()
    };
    while all.next < end {
        let fetched = fetch(log, schema, partition, all.next).await;
        assert!(fetched.next > all.next, "there is something from {} to {end}", all.next);
        all.rows.extend(fetched.rows);
        all.unreadable.extend(fetched.unreadable);
        all.next = fetched.next;
        all.settled = fetched.settled;
    }
    all
}

pub(super) async fn fetch_all(log: &dyn RowLog, schema: &Arc<GroupSchema>) -> BTreeMap<u32, Vec<LoggedRow>> {
    let partitions = log.bounds(schema).await.expect("bounds").len() as u32;
    let mut all = BTreeMap::new();
    for partition in 0..partitions {
        all.insert(partition, fetch_partition(log, schema, partition).await.rows);
    }
    all
}
