//! Rows per second into the log and out of it, for rows of about 450 bytes: `cargo run --release -p forebay-stream-kafka --example throughput [rows]`.
//!
//! Starts a Kafka of its own, or uses the one that `FOREBAY_TEST_KAFKA` names. Rates are of this process and the broker on one machine; the seconds of
//! processor time are of this process alone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_model::{
    Clock, DataType, Generation, GroupId, GroupSchema, KeyColumn, KeyType, LayoutNumber, Name, Slot, SystemClock,
    entity_key::append,
};
use forebay_rows::{Layouts, RowsWriter};
use forebay_storage::{BatchId, LogRow};
use forebay_stream_kafka::{KafkaConfig, KafkaStreams, migrate};
use futures::future::join_all;
use uuid::Uuid;

const BATCH: usize = 500;
const APPENDERS: usize = 8;
const FLOATS: usize = 40;

fn schema() -> Arc<GroupSchema> {
    let name = |text: &str| Name::new(text).expect("a name");
    let slot = |text: &str, data_type| Slot {
        name: name(text),
        data_type,
        since: LayoutNumber(0),
        hidden: false,
    };
    let mut slots: Vec<_> = (0..FLOATS)
        .map(|index| slot(&format!("f{index}"), DataType::Float64))
        .collect();
    slots.push(slot("city", DataType::String));
    Arc::new(GroupSchema {
        name: "bench.rows".parse().expect("a group"),
        id: GroupId(1),
        generation: Generation(0),
        layout: LayoutNumber(0),
        keys: Arc::from([KeyColumn {
            name: name("id"),
            key_type: KeyType::Int64,
        }]),
        slots: slots.into(),
    })
}

fn rows(schema: &Arc<GroupSchema>, first: usize) -> Vec<LogRow> {
    let now = SystemClock.now();
    let mut writer = RowsWriter::with_capacity(Layouts::new(schema.clone()), BATCH);
    for id in first..first + BATCH {
        writer.begin();
        append::i64(writer.key(), id as i64);
        for slot in 0..FLOATS {
            // Digits that compress as those of measurements do.
            writer.put_f64(slot, (id * 31 + slot * 7) as f64 / 1_000.0);
        }
        writer.put_bytes(
            FLOATS,
            format!("a city with the number {id} and some more text around it").as_bytes(),
        );
        writer.finish(now, now, false).expect("a small row");
    }
    let rows = writer.into_batch().freeze();
    rows.iter().map(|(key, row)| LogRow { key, row }).collect()
}

/// Seconds of processor time that this process has used.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

fn report(what: &str, rows: usize, began: Instant, processor: f64) {
    let seconds = began.elapsed().as_secs_f64();
    let used = processor_time() - processor;
    println!(
        "{what}: {rows} rows in {seconds:.2} s, {:.0} rows/s; {used:.2} s of processor time, {:.0} rows per second of it",
        rows as f64 / seconds,
        rows as f64 / used,
    );
}

#[tokio::main]
async fn main() {
    let total = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(400_000_usize);
    let config = KafkaConfig {
        brokers: vec![forebay_testbed::kafka().to_owned()],
        ..KafkaConfig::default()
    };
    let environment = format!("bench{}", &Uuid::new_v4().simple().to_string()[..8]);
    migrate(&config, Some(&environment)).await.expect("topics");
    let streams = KafkaStreams::connect(&config, Some(&environment), Arc::new(SystemClock))
        .await
        .expect("Kafka");
    let (log, schema) = (streams.row_log.clone(), schema());
    log.ensure(&schema).await.expect("a topic");
    let sample = rows(&schema, 0);
    let packed: usize = sample.iter().map(|row| row.row.len()).sum::<usize>() / BATCH;
    println!(
        "rows of {packed} bytes, batches of {BATCH}, {APPENDERS} appenders, {} partitions",
        config.partitions
    );
    log.append(&schema, BatchId(Uuid::nil()), sample)
        .await
        .expect("a first append");

    // Packed rows of the batches, made before the clock starts.
    let batches: Vec<_> = (0..total / BATCH).map(|number| rows(&schema, number * BATCH)).collect();
    let mut shares: Vec<Vec<Vec<LogRow>>> = (0..APPENDERS).map(|_| Vec::new()).collect();
    for (index, batch) in batches.into_iter().enumerate() {
        shares[index % APPENDERS].push(batch);
    }
    let (began, processor) = (Instant::now(), processor_time());
    let appending = shares.into_iter().map(|share| {
        let (log, schema) = (log.clone(), schema.clone());
        tokio::spawn(async move {
            for batch in share {
                log.append(&schema, BatchId(Uuid::new_v4()), batch)
                    .await
                    .expect("appended");
            }
        })
    });
    for appended in join_all(appending.collect::<Vec<_>>()).await {
        appended.expect("an appender");
    }
    report("append", total, began, processor);

    let mut waits = Vec::new();
    for number in 0..200 {
        let batch = rows(&schema, number * BATCH).split_off(BATCH - 1);
        let asked = Instant::now();
        log.append(&schema, BatchId(Uuid::new_v4()), batch)
            .await
            .expect("appended");
        waits.push(asked.elapsed());
    }
    waits.sort_unstable();
    println!("append of one row: p50 {:?}, p99 {:?}", waits[100], waits[198]);

    let bounds = log.bounds(&schema).await.expect("bounds");
    let (began, processor) = (Instant::now(), processor_time());
    let fetching = bounds.into_iter().zip(0..).map(|((first, end), partition)| {
        let (log, schema) = (log.clone(), schema.clone());
        tokio::spawn(async move {
            let (mut next, mut count) = (first, 0);
            while next < end {
                let wait = Duration::from_secs(10);
                let fetched = log
                    .fetch(&schema, partition, next, 4 << 20, wait)
                    .await
                    .expect("fetched");
                count += fetched.rows.len();
                next = fetched.next;
            }
            count
        })
    });
    let mut count = 0;
    for fetched in join_all(fetching.collect::<Vec<_>>()).await {
        count += fetched.expect("a reader");
    }
    report("fetch and decode", count, began, processor);

    let (partition, next) = (0, log.bounds(&schema).await.expect("bounds")[0].1);
    let mut next = next;
    let mut waits = Vec::new();
    // A key of partition 0.
    let row = {
        let mut number = 0;
        loop {
            let row = rows(&schema, number).swap_remove(0);
            let placed = log
                .append(&schema, BatchId(Uuid::nil()), vec![row.clone()])
                .await
                .expect("appended");
            if placed[0].partition == partition {
                break row;
            }
            number += 1;
        }
    };
    next += 1;
    for _ in 0..200 {
        let waiting = tokio::spawn({
            let (log, schema) = (log.clone(), schema.clone());
            async move {
                let wait = Duration::from_secs(10);
                let fetched = log.fetch(&schema, partition, next, 1, wait).await.expect("fetched");
                (Instant::now(), fetched.next)
            }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        log.append(&schema, BatchId(Uuid::nil()), vec![row.clone()])
            .await
            .expect("appended");
        let acknowledged = Instant::now();
        let (seen, after) = waiting.await.expect("a reader");
        next = after;
        waits.push(seen.saturating_duration_since(acknowledged));
    }
    waits.sort_unstable();
    println!(
        "from acknowledged to fetched: p50 {:?}, p99 {:?}",
        waits[100], waits[198]
    );
}
