//! An ingestion service over real stores in a folder, which can be ended and begun again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arrow::{
    array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray},
    datatypes::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use async_trait::async_trait;
use forebay_catalog::Catalog;
use forebay_model::{Clock, GroupSchema, SystemClock, Timestamp};
use forebay_rows::{
    Layouts, RowHead, RowsWriter,
    json::{RowOptions, RowReader, Scanner},
};
use forebay_storage::{
    Append, Appended, BatchId, CommitIdentity, Fetched, LogRow, NothingRejected, OfflineStore, OnlineAnswer,
    OnlineRead, ProcessAnnouncements, ProcessLeases, Provision, Result, RowLog, StorageError, Topic,
};
use forebay_storage_delta::{DeltaStore, LakeLocations};
use forebay_storage_embedded::{EmbeddedStores, Options};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{AppState, Deps, IntakeConfig, SinksConfig, State, background};

/// Patience with anything that is to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) sinks: SinksConfig,
    definitions: Value,
}

/// One life of the process.
pub(super) struct Life {
    pub(super) state: AppState,
    pub(super) delta: DeltaStore,
    /// Makes the row log refuse to let rows go.
    pub(super) log_keeps: Arc<AtomicBool>,
    stop: CancellationToken,
    supervisor: JoinHandle<()>,
    _stores: EmbeddedStores,
}

/// A row log that does not always let rows go.
pub(super) struct StubbornLog {
    log: Arc<dyn RowLog>,
    pub(super) keeps: Arc<AtomicBool>,
}

#[async_trait]
impl Provision for StubbornLog {
    fn what(&self) -> &'static str {
        self.log.what()
    }

    async fn ensure(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        self.log.ensure(schema).await
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> Result<()> {
        self.log.purge(schema).await
    }
}

#[async_trait]
impl RowLog for StubbornLog {
    async fn append(&self, schema: &Arc<GroupSchema>, batch: BatchId, rows: Vec<LogRow>) -> Result<Vec<Appended>> {
        self.log.append(schema, batch, rows).await
    }

    async fn fetch(
        &self,
        schema: &Arc<GroupSchema>,
        partition: u32,
        from: u64,
        max_bytes: usize,
        wait: Duration,
    ) -> Result<Fetched> {
        self.log.fetch(schema, partition, from, max_bytes, wait).await
    }

    async fn bounds(&self, schema: &Arc<GroupSchema>) -> Result<Vec<(u64, u64)>> {
        self.log.bounds(schema).await
    }

    async fn release(&self, topic: Topic, partition: u32, consumer: &str, next: u64) -> Result<()> {
        if self.keeps.load(Ordering::SeqCst) && next > 0 {
            return Err(StorageError::NoSpace { what: "row log" });
        }
        self.log.release(topic, partition, consumer, next).await
    }
}

/// Sinks that do everything soon.
pub(super) fn eager() -> SinksConfig {
    SinksConfig {
        flush_interval_ms: 50,
        early_flush_interval_ms: 10,
        follow_interval_ms: 20,
        upkeep_interval_ms: 20,
        compaction_min_files: 1_000,
        checkpoint_every: 1_000_000,
        sweep_interval_ms: 50,
        ..SinksConfig::default()
    }
}

fn group(name: &str, more: Value) -> Value {
    let mut group = json!({
        "kind": "FeatureGroup", "name": name, "entities": ["thing"],
        "features": [{"name": "price", "type": "float64"}, {"name": "city", "type": "string"}],
    });
    let fields = more.as_object().expect("an object").clone();
    group.as_object_mut().expect("an object").extend(fields);
    group
}

impl World {
    pub(super) fn new(sinks: SinksConfig) -> Self {
        let definitions = json!([
            {"kind": "Domain", "name": "shop"},
            {"kind": "Entity", "name": "thing", "domain": "shop", "keys": [{"name": "id", "type": "int64"}]},
            group("shop.pushed", json!({})),
            group("shop.online", json!({"stores": ["online"]})),
            group("shop.offline", json!({"stores": ["offline"]})),
            group("shop.brief", json!({"ttl": "1h"})),
            group("shop.committed", json!({"ingest": "commits"})),
        ]);
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            sinks,
            definitions,
        }
    }

    /// A life in which nothing works in the background.
    pub(super) async fn idle(&self) -> Life {
        self.live(false).await
    }

    pub(super) async fn begin(&self) -> Life {
        self.live(true).await
    }

    async fn live(&self, working: bool) -> Life {
        let stores = EmbeddedStores::open(&self.folder.path().join("data"), Options::default()).expect("stores");
        let lake = LakeLocations::new(&self.folder.path().join("lake"), &[]).expect("a lake");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let delta = DeltaStore::new(lake, clock.clone());
        let catalog = Arc::new(Catalog::new(forebay_testkit::snapshot(&self.definitions)));
        for group in catalog.current().groups() {
            stores.row_log.ensure(&group.schema).await.expect("made");
            stores.online.ensure(&group.schema).await.expect("made");
            if group.has_history() {
                delta.ensure(&group.schema).await.expect("made");
            }
        }
        let log_keeps = Arc::new(AtomicBool::new(false));
        let state = Arc::new(State::new(Deps {
            catalog,
            row_log: Arc::new(StubbornLog {
                log: stores.row_log.clone(),
                keeps: log_keeps.clone(),
            }),
            online: stores.online.clone(),
            offline: Arc::new(delta.clone()),
            claims: stores.claims.clone(),
            leases: Arc::new(ProcessLeases::default()),
            announcements: Arc::new(ProcessAnnouncements::default()),
            rejected: Arc::new(NothingRejected),
            process: uuid::Uuid::from_u128(1),
            clock,
            intake: IntakeConfig::default(),
            sinks: self.sinks.clone(),
        }));
        let stop = CancellationToken::new();
        let work = working.then(|| background::supervise(state.clone(), stop.clone()));
        let supervisor = tokio::spawn(async move {
            if let Some(work) = work {
                work.await;
            }
        });
        Life {
            state,
            delta,
            log_keeps,
            stop,
            supervisor,
            _stores: stores,
        }
    }
}

impl Life {
    /// Ends as a process that is told to.
    pub(super) async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.supervisor)
            .await
            .expect("in time")
            .expect("no panic");
    }

    pub(super) fn schema(&self, group: &str) -> Arc<GroupSchema> {
        let name = group.parse().expect("a name");
        self.state
            .deps
            .catalog
            .current()
            .group(&name)
            .expect("registered")
            .schema
            .clone()
    }

    /// Appends rows as HTTP does: JSON objects, event times in microseconds.
    pub(super) async fn push(&self, group: &str, batch: BatchId, rows: &[(i64, i64, f64)]) -> Vec<Appended> {
        let schema = self.schema(group);
        let layouts = Layouts::new(schema.clone());
        let ingest = self.state.in_flight.begin(Topic::of(&schema));
        let options = RowOptions {
            missing_as_null: true,
            event_time: None,
        };
        let mut reader = RowReader::new(layouts.clone(), options);
        let mut writer = RowsWriter::new(layouts);
        for (id, event_time, price) in rows {
            let event_time = Timestamp::from_micros(*event_time);
            let text =
                json!({"id": id, "event_time": event_time, "price": price, "city": format!("c{id}")}).to_string();
            let draft = reader
                .read(&mut Scanner::new(&text), &mut writer)
                .expect("JSON")
                .expect("a row");
            writer.finish(draft.event_time, ingest.time(), false).expect("small");
        }
        let rows = writer
            .into_batch()
            .freeze()
            .iter()
            .map(|(key, row)| LogRow { key, row })
            .collect();
        self.state
            .deps
            .row_log
            .append(&schema, batch, rows)
            .await
            .expect("appended")
    }

    /// The ids, event times and prices of all offline rows, in order.
    pub(super) async fn offline(&self, group: &str) -> Vec<(i64, i64, f64)> {
        let (_, rows) = self.delta.rows(&self.schema(group), None).await.expect("rows");
        let batches: Vec<RecordBatch> = rows.try_collect().await.expect("rows");
        let mut all = Vec::new();
        for batch in &batches {
            let ids = batch.column_by_name("id").expect("ids").as_primitive::<Int64Type>();
            let times = batch
                .column_by_name("event_time")
                .expect("times")
                .as_primitive::<TimestampMicrosecondType>();
            let prices = batch
                .column_by_name("price")
                .expect("prices")
                .as_primitive::<Float64Type>();
            all.extend((0..batch.num_rows()).map(|row| (ids.value(row), times.value(row), prices.value(row))));
        }
        all.sort_by(|one, other| one.partial_cmp(other).expect("comparable"));
        all
    }

    /// Commits rows to a group's table as a run does: id, event time, price.
    pub(super) async fn commit(&self, group: &str, run: &str, rows: &[(i64, i64, f64)]) -> u64 {
        let append = Append {
            identity: CommitIdentity::Run(run.to_owned()),
            rows: stream::iter([Ok(batch(rows))]).boxed(),
            notes: Default::default(),
        };
        self.delta
            .append(&self.schema(group), append)
            .await
            .expect("committed")
            .version
    }

    /// The price and event time of the online row of a key.
    pub(super) async fn online(&self, group: &str, id: i64) -> Option<(f64, i64)> {
        let schema = self.schema(group);
        let mut read = OnlineRead::new(schema.clone());
        let mut key = Vec::new();
        forebay_model::entity_key::append::i64(&mut key, id);
        read.push(&key);
        let mut answer = OnlineAnswer::default();
        self.state
            .deps
            .online
            .read(&[read], Instant::now() + PATIENCE, &mut answer)
            .await;
        let row = answer.row(0, 0).expect("read")?;
        let head = RowHead::read(row).expect("a head");
        let layouts = Layouts::new(schema.clone());
        let view = layouts.open(row).expect("a row");
        let slot = schema.slot("price").expect("a feature");
        Some((view.f64(slot), head.event_time.micros()))
    }
}

/// Rows as their writer gives them: the ingest time is a second after the event time.
pub(super) fn batch(rows: &[(i64, i64, f64)]) -> RecordBatch {
    let times = |plus| {
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.1 + plus));
        Arc::new(times.with_timezone("UTC")) as ArrayRef
    };
    RecordBatch::try_from_iter([
        (
            "id",
            Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()) as ArrayRef,
        ),
        ("event_time", times(0)),
        ("ingest_time", times(1_000_000)),
        (
            "price",
            Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
        ),
    ])
    .expect("a batch")
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what} has not happened in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
