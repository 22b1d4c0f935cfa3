//! Records that others wrote, good and bad.

use std::{sync::Arc, time::Duration};

use forebay_model::{Clock, GroupId, GroupSchema, LayoutNumber, SystemClock};
use forebay_rows::{
    Layouts, RowHead,
    avro::{AvroEncoder, schema_id, write_wire_head},
};
use forebay_storage::{Provision, RowLog, StorageError, conformance::schemas};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{
    place::{Environment, shared_cluster},
    rows::{batch, fetch_partition, rows},
};
use crate::KafkaConfig;

/// Somebody else's producer, with settings of its own.
struct Foreign {
    producer: BaseProducer,
    topic: String,
}

impl Foreign {
    fn new(environment: &Environment, schema: &GroupSchema) -> Self {
        Self {
            producer: environment.config.client().create().expect("a producer"),
            topic: environment.names().rows(schema),
        }
    }

    fn send(&self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).partition(0);
        record.key = key;
        record.payload = value;
        record.headers = Some(OwnedHeaders::new().insert(Header {
            key: "forebay-batch",
            value: Some("not one of ours"),
        }));
        self.producer.send(record).map_err(|(error, _)| error).expect("queued");
        self.producer.flush(Duration::from_secs(20)).expect("appended");
    }
}

/// One partition, so that what is where is known.
fn environment() -> Environment {
    Environment::on(KafkaConfig {
        partitions: 1,
        ..shared_cluster()
    })
}

/// A row as a foreign producer writes it, of the key `id`, without ingest time.
fn record(schema: &Arc<GroupSchema>, id: i64) -> Vec<u8> {
    let layouts = Layouts::new(schema.clone());
    let row = &rows(schema, [id])[0];
    let mut record = Vec::new();
    write_wire_head(&mut record, schema_id(schema.id, schema.layout).expect("an id"));
    AvroEncoder::new(layouts.clone())
        .encode(&row.key, &layouts.open(&row.row).expect("a row"), &mut record)
        .expect("Avro");
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_stop_nobody() {
    let environment = environment();
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    let foreign = Foreign::new(&environment, &schema);
    log.append(&schema, batch(1), rows(&schema, [1]))
        .await
        .expect("appended");
    let good = record(&schema, 2);
    foreign.send(Some(b"2"), Some(&good));
    foreign.send(None, Some(&good));
    foreign.send(Some(b"3"), Some(&good));
    foreign.send(Some(b"2"), Some(b"{\"id\": 2}"));
    foreign.send(Some(b"2"), None);
    foreign.send(Some(b"2"), Some(&good[..good.len() - 1]));
    let mut of_another_group = Vec::new();
    write_wire_head(
        &mut of_another_group,
        schema_id(GroupId(8), LayoutNumber(0)).expect("an id"),
    );
    of_another_group.extend_from_slice(&good[5..]);
    foreign.send(Some(b"2"), Some(&of_another_group));
    let mut longer = good.clone();
    longer.push(0);
    foreign.send(Some(b"2"), Some(&longer));
    foreign.send(Some(b"4"), Some(&record(&schema, 4)));
    log.append(&schema, batch(1), rows(&schema, [5]))
        .await
        .expect("appended");

    let all = fetch_partition(&*log, &schema, 0).await;
    assert_eq!(all.next, 11);
    assert_eq!(all.rows.iter().map(|row| row.offset).collect::<Vec<_>>(), [0, 1, 9, 10]);
    let nobodys = &all.rows[1];
    assert_eq!((nobodys.batch, nobodys.index, nobodys.ordinal), (batch(0), 0, 0));
    let bad: Vec<_> = all
        .unreadable
        .iter()
        .map(|bad| (bad.offset, bad.code.as_str()))
        .collect();
    let expected = [
        (2, "null_key"),
        (3, "key_mismatch"),
        (4, "undecodable"),
        (5, "undecodable"),
        (6, "undecodable"),
        (7, "unknown_schema"),
        (8, "undecodable"),
    ];
    assert_eq!(bad, expected);
    assert_eq!(all.unreadable[0].key, None);
    assert_eq!(all.unreadable[2].value, &b"{\"id\": 2}"[..], "as it came");
    assert_eq!(all.unreadable[2].key.as_deref(), Some(&b"2"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_ingest_time_takes_that_of_its_append() {
    let environment = environment();
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    let mut record = record(&schema, 2);
    // Key and event time are varints before it; the branch of the union says that there is one.
    let layouts = Layouts::new(schema.clone());
    let row = &rows(&schema, [2])[0];
    let time = RowHead::read(&row.row).expect("a row").event_time;
    let at = 5 + 1 + varint_length(time.micros());
    assert_eq!(record[at], 2, "the ingest time's branch");
    record.drain(at..=at + varint_length(time.micros()));
    record.insert(at, 0);
    let foreign = Foreign::new(&environment, &schema);
    foreign.send(Some(b"2"), Some(&record));
    let all = fetch_partition(&*log, &schema, 0).await;
    let head = layouts.open(&all.rows[0].row).expect("a row").head().to_owned();
    assert_eq!(head.ingest_time.micros() % 1_000, 0, "Kafka's times are milliseconds");
    let later = head.ingest_time.micros() - time.micros();
    assert!((-1_000..60_000_000).contains(&later), "it was just now: {later}");
}

fn varint_length(value: i64) -> usize {
    let zigzag = (value << 1 ^ value >> 63).cast_unsigned();
    ((64 - zigzag.leading_zeros()).max(1) as usize).div_ceil(7)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_layout_is_waited_for_and_one_that_is_not_there_is_not() {
    let environment = environment();
    let (log, old, new) = (environment.row_log(), schemas::prices(0), schemas::prices(1));
    log.ensure(&old).await.expect("made");
    log.append(&old, batch(1), rows(&old, [1])).await.expect("appended");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let between = SystemClock.now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    log.append(&new, batch(2), rows(&new, [2])).await.expect("appended");
    let reader = environment.row_log();
    let fetch = async |schema, from| reader.fetch(schema, 0, from, 1 << 20, Duration::from_secs(5)).await;
    let before = fetch(&old, 0).await.expect("what it can read");
    assert_eq!((before.rows.len(), before.next), (1, 1));
    let margin = (environment.config.delivery_bound_ms + environment.config.clock_tolerance_ms) as i64 * 1_000;
    let settled = before.settled.expect("it settles to what was read");
    assert!(settled.micros() + margin < between.micros(), "and no further");
    let newer = fetch(&old, 1).await;
    let expected = (LayoutNumber(1), LayoutNumber(0));
    assert!(
        matches!(&newer, Err(StorageError::NewerLayout { found, known, .. }) if (*found, *known) == expected),
        "{newer:?}"
    );
    let after = fetch(&new, 1).await.expect("with the newer schema");
    assert_eq!((after.rows.len(), after.next), (1, 2));

    let mut made_up = Vec::new();
    write_wire_head(&mut made_up, schema_id(old.id, LayoutNumber(9)).expect("an id"));
    Foreign::new(&environment, &old).send(Some(b"2"), Some(&made_up));
    let newer = fetch(&new, 2).await;
    assert!(matches!(newer, Err(StorageError::NewerLayout { .. })), "{newer:?}");
    reader.no_such_layout(&new, LayoutNumber(9));
    let bad = fetch(&new, 2).await.expect("it goes on");
    assert_eq!((bad.unreadable[0].code.as_str(), bad.next), ("unknown_schema", 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_read_whole_or_not_at_all_and_their_marks_are_passed_over() {
    let environment = environment();
    let (log, schema) = (environment.row_log(), schemas::prices(0));
    log.ensure(&schema).await.expect("made");
    let patience = Duration::from_secs(20);
    let producer: BaseProducer = environment
        .config
        .client()
        .set("transactional.id", &environment.name)
        .create()
        .expect("a producer");
    producer.init_transactions(patience).expect("a transactional producer");
    let foreign = Foreign {
        producer,
        topic: environment.names().rows(&schema),
    };
    let fetch = async |from| {
        let fetched = log.fetch(&schema, 0, from, 1 << 20, Duration::from_millis(300)).await;
        fetched.expect("fetched")
    };
    foreign.producer.begin_transaction().expect("begun");
    foreign.send(Some(b"2"), Some(&record(&schema, 2)));
    log.append(&schema, batch(1), rows(&schema, [1]))
        .await
        .expect("appended");
    let moment = SystemClock.now();
    for _ in 0..8 {
        let open = fetch(0).await;
        assert_eq!(
            (open.rows.len(), open.next),
            (0, 0),
            "what is not committed hides what comes after it"
        );
        assert!(
            open.settled.is_none_or(|settled| settled < moment),
            "and nothing settles meanwhile"
        );
    }
    foreign.producer.abort_transaction(patience).expect("withdrawn");
    let mut next = 0;
    let mut found = 0;
    while found == 0 {
        let fetched = fetch(next).await;
        (next, found) = (fetched.next, found + fetched.rows.len());
    }
    assert_eq!((next, found), (2, 1), "the row of nobody's transaction");
    // The mark of the one that was withdrawn stands at 2, and that of the next one at 4.
    foreign.producer.begin_transaction().expect("begun");
    foreign.send(Some(b"2"), Some(&record(&schema, 2)));
    foreign.producer.commit_transaction(patience).expect("committed");
    let began = std::time::Instant::now();
    // The brokers write the mark after they have answered.
    let mut end = 0;
    while end < 5 {
        end = log.bounds(&schema).await.expect("bounds")[0].1;
        assert!(began.elapsed() < patience, "the mark is written");
    }
    assert_eq!(end, 5);
    while next < end {
        let fetched = fetch(next).await;
        assert!(fetched.next >= next && fetched.next <= end);
        (next, found) = (fetched.next, found + fetched.rows.len());
        assert!(began.elapsed() < Duration::from_secs(20), "it comes to the end");
    }
    assert_eq!(found, 2);
    assert_eq!(
        fetch_partition(&*environment.row_log(), &schema, 0).await.rows.len(),
        2,
        "without waiting, too"
    );
}
