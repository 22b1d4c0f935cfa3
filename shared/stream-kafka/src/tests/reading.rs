//! Readers of one partition at several places, readers that give up, and more than is read ahead.

use std::{collections::BTreeMap, time::Duration};

use forebay_storage::{Provision, RowLog, conformance::schemas};
use futures::future::join_all;

use super::{
    place::{Environment, shared_cluster},
    rows::{batch, rows},
};
use crate::KafkaConfig;

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_is_given_up_takes_nothing_along() {
    let environment = Environment::on(KafkaConfig {
        partitions: 1,
        ..shared_cluster()
    });
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    log.append(&schema, batch(1), rows(&schema, 0..500))
        .await
        .expect("appended");
    let mut random = 7_u64;
    let mut next = 0;
    while next < 500 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let elsewhere = random >> 33;
        let patience = Duration::from_micros(elsewhere % 3_000);
        // Given up anywhere between its first order and its answer.
        let given_up = log.fetch(&schema, 0, elsewhere % 500, 1_000, Duration::from_secs(1));
        let _ = tokio::time::timeout(patience, given_up).await;
        let fetched = log
            .fetch(&schema, 0, next, 2_000, Duration::from_secs(10))
            .await
            .expect("fetched");
        let offsets: Vec<_> = fetched.rows.iter().map(|row| row.offset).collect();
        assert_eq!(offsets, (next..fetched.next).collect::<Vec<_>>(), "none is left out");
        assert!(fetched.next > next);
        next = fetched.next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_at_several_places_see_everything_in_bounded_memory() {
    const ROWS: i64 = 20_000;
    let environment = Environment::on(KafkaConfig {
        partitions: 2,
        read_ahead_bytes: 1 << 20,
        ..shared_cluster()
    });
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    for (number, ids) in (1..).zip((0..ROWS).collect::<Vec<_>>().chunks(2_000)) {
        let rows = rows(&schema, ids.iter().copied());
        log.append(&schema, batch(number), rows).await.expect("appended");
    }
    let bounds = log.bounds(&schema).await.expect("bounds");
    let readers = [(0, 0_u64), (0, 100), (0, 0), (1, 0), (1, 5_000)].map(|(partition, from)| {
        let (log, schema) = (log.clone(), schema.clone());
        let (_, end) = bounds[partition as usize];
        tokio::spawn(async move {
            let mut next = from;
            let mut seen = BTreeMap::new();
            while next < end {
                let wait = Duration::from_secs(5);
                let fetched = log
                    .fetch(&schema, partition, next, 20_000, wait)
                    .await
                    .expect("fetched");
                assert!(
                    fetched
                        .rows
                        .iter()
                        .all(|row| row.offset >= next && row.offset < fetched.next)
                );
                seen.extend(fetched.rows.into_iter().map(|row| (row.offset, row.key)));
                next = fetched.next;
            }
            assert_eq!(seen.len() as u64, end - from, "partition {partition} from {from}");
        })
    });
    for reader in join_all(readers).await {
        reader.expect("a reader");
    }
}
