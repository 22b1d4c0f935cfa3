//! Producers that end, and the largest row.

use std::{collections::BTreeSet, time::Duration};

use forebay_model::Value;
use forebay_rows::packed::MAX_ROW_LENGTH;
use forebay_storage::{
    LogRow, Provision, RowLog, StorageError,
    conformance::{rows::PlainRow, schemas},
};

use super::{
    place::{Environment, shared_cluster},
    rows::{batch, fetch_all, rows},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_has_ended_is_replaced() {
    let environment = Environment::on(shared_cluster());
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    for number in 1..=3 {
        let (failing, appending) = (log.clone(), (log.clone(), schema.clone()));
        let appends = tokio::spawn(async move {
            let (log, schema) = appending;
            let mut failed = 0;
            for part in 0..20 {
                let id = batch(number * 100 + part);
                while let Err(error) = log.append(&schema, id, rows(&schema, 0..30)).await {
                    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
                    failed += 1;
                }
            }
            failed
        });
        tokio::time::sleep(Duration::from_millis(15)).await;
        failing.producer().expect("a producer").fail_fatally();
        assert!(appends.await.expect("appends") <= 1, "only what was on its way fails");
    }
    let found = fetch_all(&*log, &schema).await;
    let identities: BTreeSet<_> = found.values().flatten().map(|row| (row.batch, row.index)).collect();
    assert_eq!(identities.len(), 3 * 20 * 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_row_there_is_gets_through() {
    let environment = Environment::on(shared_cluster());
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    let mut plain = PlainRow::price(1, 0, 0, 0.0);
    plain.features[1] = Value::String("x".repeat(MAX_ROW_LENGTH - 64));
    let row = plain.packed(&schema);
    let large = LogRow {
        key: row.key,
        row: row.row,
    };
    let mut all = rows(&schema, 0..10);
    all.insert(5, large.clone());
    let appended = log.append(&schema, batch(1), all).await.expect("appended");
    assert_eq!(appended.iter().map(|range| range.count).sum::<u64>(), 11);
    let found = fetch_all(&*log, &schema).await;
    let lengths = found.values().flatten().map(|row| row.row.len());
    assert_eq!(lengths.max(), Some(large.row.len()));
}
