//! What is particular to Cassandra: on the real server, beyond what every online store must do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use forebay_model::{
    DataType, Generation, GroupId, GroupSchema, KeyColumn, KeyType, LayoutNumber, Name, Slot, Timestamp, Value,
};
use forebay_storage::{
    OnlineAnswer, OnlineRead, OnlineRow, OnlineStore, Progress, Provision, Result, StorageError, Swept,
    conformance::{self, Installation, rows::PlainRow, schemas},
};

use super::CassandraOnlineStore;
use crate::{
    CassandraConfig,
    conformance::{Place, config, contact_point},
};

async fn place() -> Place {
    Place::of(super::TABLES).await
}

async fn read(store: &dyn OnlineStore, schema: &Arc<GroupSchema>, rows: &[&PlainRow]) -> Result<Vec<Option<Vec<u8>>>> {
    let mut read = OnlineRead::new(schema.clone());
    for row in rows {
        let key = PlainRow {
            features: Vec::new(),
            ..(*row).clone()
        };
        read.push(&key.packed(schema).key);
    }
    let mut answer = OnlineAnswer::default();
    store
        .read(&[read], Instant::now() + Duration::from_secs(30), &mut answer)
        .await;
    (0..rows.len())
        .map(|key| {
            answer
                .row(0, key)
                .map(|row| row.map(<[u8]>::to_vec))
                .map_err(Clone::clone)
        })
        .collect()
}

async fn upsert(store: &dyn OnlineStore, schema: &Arc<GroupSchema>, rows: &[&PlainRow]) -> Result<()> {
    store
        .upsert(schema, rows.iter().map(|row| row.packed(schema)).collect(), None)
        .await
}

/// A type of each kind that has one value.
pub(super) fn scalars() -> [DataType; 10] {
    [
        DataType::Bool,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::String,
        DataType::Binary,
        DataType::Date,
        DataType::Timestamp,
        DataType::Decimal {
            precision: 38,
            scale: 3,
        },
    ]
}

/// A group with a feature of every type.
fn all_types() -> Arc<GroupSchema> {
    let list = |element| DataType::List(Box::new(element));
    let types = scalars().into_iter().chain([
        list(DataType::Int64),
        list(DataType::String),
        list(DataType::Decimal { precision: 4, scale: 1 }),
        DataType::Vector { length: 3 },
        DataType::Vector { length: 8_192 },
        DataType::Vector { length: 65_536 },
    ]);
    let name = |text: &str| Name::new(text).expect("a name");
    // Words of CQL are names like others.
    let names = ["select", "from", "token", "writetime"];
    let slots = types.enumerate().map(|(number, data_type)| Slot {
        name: names
            .get(number)
            .map_or_else(|| name(&format!("f{number}")), |text| name(text)),
        data_type,
        since: LayoutNumber(0),
        hidden: false,
    });
    Arc::new(GroupSchema {
        name: "table.order".parse().expect("a group"),
        id: GroupId(3),
        generation: Generation(0),
        layout: LayoutNumber(0),
        keys: Arc::from([
            KeyColumn {
                name: name("where"),
                key_type: KeyType::String,
            },
            KeyColumn {
                name: name("k"),
                key_type: KeyType::Timestamp,
            },
        ]),
        slots: slots.collect(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_back() {
    let place = place().await;
    let store = place.stores().await.online;
    let schema = all_types();
    store.ensure(&schema).await.expect("made");
    store.ensure(&schema).await.expect("it is as it should be");
    let text = |text: &str| Value::String(text.to_owned());
    let full = vec![
        Value::Bool(false),
        Value::Int32(i32::MIN),
        Value::Int64(i64::MIN),
        Value::Float32(f32::NAN),
        Value::Float64(-0.0),
        text("é|\u{1F600}\0"),
        Value::Binary(vec![0, 255]),
        Value::Date(i32::MIN),
        Value::Timestamp(i64::MAX),
        Value::Decimal(i128::MIN),
        Value::List(vec![Value::Int64(0), Value::Null, Value::Int64(-1)]),
        Value::List(vec![text(""), Value::Null, text("a")]),
        Value::List(vec![Value::Decimal(-128)]),
        Value::Vector(vec![1.5, f32::NAN, f32::NEG_INFINITY]),
        Value::Vector((0..8_192).map(|n| n as f32).collect()),
        Value::Vector((0..65_536).map(|n| -(n as f32)).collect()),
    ];
    let mut empty = vec![Value::Null; full.len()];
    empty[5] = text("");
    empty[6] = Value::Binary(Vec::new());
    empty[10] = Value::List(Vec::new());
    let nulls = vec![Value::Null; full.len()];
    let rows: Vec<_> = [full, empty, nulls]
        .into_iter()
        .zip(["", "\0", "x"])
        .map(|(features, key)| PlainRow {
            key: vec![text(key), Value::Timestamp(-1)],
            event_time: Timestamp::MIN.micros(),
            sequence: i64::MAX,
            deleted: false,
            features,
        })
        .collect();
    let rows: Vec<&PlainRow> = rows.iter().collect();
    upsert(&*store, &schema, &rows).await.expect("upserted");
    let stored = read(&*store, &schema, &rows).await.expect("read");
    for (row, stored) in rows.iter().zip(stored) {
        assert!(stored.as_deref() == Some(&*row.packed(&schema).row), "{:?}", row.key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_behind_is_told_so() {
    let place = place().await;
    let (behind, ahead) = (place.stores().await.online, place.stores().await.online);
    let (old, new) = (schemas::prices(0), schemas::prices(1));
    behind.ensure(&old).await.expect("made");
    let before = PlainRow::price(1, 1, 1, 1.0);
    upsert(&*behind, &old, &[&before]).await.expect("upserted");
    assert_eq!(
        read(&*behind, &old, &[&before]).await.expect("read"),
        [Some(before.packed(&old).row.to_vec())]
    );
    assert!(
        matches!(
            upsert(&*ahead, &new, &[&before]).await,
            Err(StorageError::NotProvisioned { .. })
        ),
        "the type has not grown yet"
    );
    ahead.ensure(&new).await.expect("grown");
    let mut grown = PlainRow::price(2, 1, 1, 2.0);
    grown.features.push(Value::Vector(vec![1.0, 2.0]));
    upsert(&*ahead, &new, &[&grown]).await.expect("upserted");
    // Its statements are from before the type grew.
    let late = PlainRow::price(3, 1, 1, 3.0);
    upsert(&*behind, &old, &[&late]).await.expect("upserted");
    assert_eq!(
        read(&*behind, &old, &[&before, &late]).await.expect("read"),
        [&before, &late].map(|row| Some(row.packed(&old).row.to_vec())),
        "rows of the layout it knows are as before"
    );
    let refused = read(&*behind, &old, &[&before, &grown]).await;
    assert!(
        matches!(
            &refused,
            Err(StorageError::NewerLayout {
                known: LayoutNumber(0),
                ..
            })
        ),
        "a feature is never left out: {refused:?}"
    );
    // A process that starts with the old schema when the type has grown already.
    let started = place.stores().await.online;
    let refused = read(&*started, &old, &[&grown]).await;
    assert!(matches!(&refused, Err(StorageError::NewerLayout { .. })), "{refused:?}");
    upsert(&*started, &old, &[&late]).await.expect("upserted");
    // The registry's revision arrives.
    for store in [&behind, &started, &ahead] {
        assert_eq!(
            read(&**store, &new, &[&before, &grown, &late]).await.expect("read"),
            [
                Some(before.packed(&old).row.to_vec()),
                Some(grown.packed(&new).row.to_vec()),
                Some(late.packed(&old).row.to_vec()),
            ],
            "each row in the layout that it was written with"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_others_have_altered_are_refused() {
    let place = place().await;
    let stores = place.stores().await;
    let (cluster, store) = (&stores.online.cluster, &stores.online);
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    let expire = "ALTER TABLE {}.shop__prices WITH default_time_to_live = 10";
    cluster.change(cluster.qualified(expire)).await.expect("altered");
    let refused = store.ensure(&schema).await.expect_err("a time to live").to_string();
    assert!(refused.contains("default_time_to_live = 0"), "{refused}");
    let retyped = Arc::new(GroupSchema {
        slots: Arc::from([Slot {
            data_type: DataType::Int32,
            ..schema.slots[0].clone()
        }]),
        ..(*schema).clone()
    });
    let refused = place.stores().await.online.ensure(&retyped).await.expect_err("retyped");
    assert!(refused.to_string().contains("`price` is stored as double"), "{refused}");
}

/// Two processes, of which one clears the group while the other goes on unaware.
#[tokio::test(flavor = "multi_thread")]
async fn progress_from_before_a_rebuild_does_not_count() {
    let place = place().await;
    let (zombie, rebuilder) = (place.stores().await.online, place.stores().await.online);
    let schema = schemas::prices(0);
    let progress = |position| {
        Some(Progress {
            consumer: "commits/7.0".to_owned(),
            position,
        })
    };
    zombie.ensure(&schema).await.expect("made");
    zombie.upsert(&schema, Vec::new(), progress(5)).await.expect("upserted");
    rebuilder.clear(&schema, "commits/7.0").await.expect("cleared");
    zombie.upsert(&schema, Vec::new(), progress(6)).await.expect("upserted");
    assert_eq!(rebuilder.progress("commits/7.0").await.expect("told"), None);
    rebuilder
        .upsert(&schema, Vec::new(), progress(1))
        .await
        .expect("upserted");
    for store in [&zombie, &rebuilder] {
        assert_eq!(store.progress("commits/7.0").await.expect("told"), Some(1));
    }
}

/// A store whose tables are written to disk all the time and merged as soon as there are two files of one.
struct OnDisk(Place);

/// How often memory is written to disk.
const FLUSHED_EVERY: Duration = Duration::from_millis(60);

/// Waits when the suite flushes, until all that was in memory is on disk.
struct Settling(Arc<CassandraOnlineStore>);

#[async_trait]
impl Installation<dyn OnlineStore> for OnDisk {
    async fn open(&self) -> Arc<dyn OnlineStore> {
        Arc::new(Settling(self.0.stores().await.online))
    }
}

#[async_trait]
impl Provision for Settling {
    fn what(&self) -> &'static str {
        self.0.what()
    }

    async fn ensure(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        self.0.ensure(schema).await
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        self.0.purge(schema).await
    }
}

#[async_trait]
impl OnlineStore for Settling {
    async fn upsert(&self, schema: &Arc<GroupSchema>, rows: Vec<OnlineRow>, progress: Option<Progress>) -> Result<()> {
        self.0.upsert(schema, rows, progress).await
    }

    async fn progress(&self, consumer: &str) -> Result<Option<i64>> {
        self.0.progress(consumer).await
    }

    async fn flush(&self) -> Result<()> {
        tokio::time::sleep(3 * FLUSHED_EVERY).await;
        self.0.flush().await
    }

    async fn read(&self, reads: &[OnlineRead], deadline: Instant, answer: &mut OnlineAnswer) {
        self.0.read(reads, deadline, answer).await;
    }

    async fn sweep(
        &self,
        schema: &Arc<GroupSchema>,
        before: Timestamp,
        from: Option<Bytes>,
        limit: usize,
    ) -> Result<Swept> {
        self.0.sweep(schema, before, from, limit).await
    }

    async fn clear(&self, schema: &Arc<GroupSchema>, consumer: &str) -> Result<()> {
        self.0.clear(schema, consumer).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn online_store_from_sstables() {
    let contact_point = tokio::task::spawn_blocking(contact_point).await.expect("a server");
    conformance::online_store(async || {
        let config = CassandraConfig {
            table_options: format!(
                "memtable_flush_period_in_ms = {} AND compaction = {{'class': 'SizeTieredCompactionStrategy', 'min_threshold': 2}}",
                FLUSHED_EVERY.as_millis()
            ),
            ..config(contact_point.clone())
        };
        OnDisk(Place::with(config, super::TABLES).await)
    })
    .await;
}
