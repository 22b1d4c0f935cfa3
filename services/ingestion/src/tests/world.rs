//! An ingestion service over real stores in a folder, which can be ended and begun again.

use std::{
    collections::BTreeSet,
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
use bytes::Bytes;
use forebay_catalog::Catalog;
use forebay_model::{Clock, GroupName, GroupSchema, LayoutNumber, SystemClock, Timestamp};
use forebay_rows::{
    Layouts, RowHead, RowsWriter,
    json::{RowOptions, RowReader, Scanner},
};
use forebay_storage::{
    Append, Appended, BatchId, CommitIdentity, Fetched, Leases, LogRow, OfflineStore, OnlineAnswer, OnlineRead,
    ProcessAnnouncements, ProcessLeases, Provision, Rejected, RejectedId, RejectedLog, Result, RowLog, StorageError,
    Topic, UnreadableRecord,
};
use forebay_storage_delta::{DeltaStore, LakeLocations};
use forebay_storage_embedded::{EmbeddedStores, Options};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{AppState, Deps, IntakeConfig, SinksConfig, State, tables};

/// Patience with anything that is to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) sinks: SinksConfig,
    definitions: Value,
}

/// What processes share.
pub(super) struct Shared {
    pub(super) stores: EmbeddedStores,
    pub(super) delta: DeltaStore,
    pub(super) log: Arc<StubbornLog>,
    pub(super) rejected: Arc<SetAside>,
    pub(super) announcements: Arc<ProcessAnnouncements>,
    pub(super) leases: Arc<dyn Leases>,
}

/// One life of a process.
pub(super) struct Life {
    pub(super) state: AppState,
    pub(super) delta: DeltaStore,
    pub(super) shared: Arc<Shared>,
    stop: CancellationToken,
    supervisor: JoinHandle<()>,
}

/// A row log that does as it is told.
pub(super) struct StubbornLog {
    log: Arc<dyn RowLog>,
    /// Does not let rows go.
    pub(super) keeps: AtomicBool,
    /// Which topic it says it is; then it also tells what has settled, as a log does that many write to.
    pub(super) identity: Mutex<Option<Uuid>>,
    /// Offsets whose records it says it cannot read.
    pub(super) poison: Mutex<BTreeSet<u64>>,
    /// A layout that the record at an offset says it is of.
    pub(super) made_up: Mutex<Option<(u64, LayoutNumber)>>,
    /// The offset that it says to have been at whatever time; without it, what the log says.
    pub(super) offset_at: Mutex<Option<u64>>,
    /// Where it was read from.
    pub(super) read: Mutex<Vec<(Topic, u64)>>,
    /// Layouts that do not exist, as it was told.
    pub(super) unknown: Mutex<Vec<LayoutNumber>>,
    /// While it is there, appends wait for a permit of it.
    pub(super) gate: Mutex<Option<Arc<Semaphore>>>,
    /// Whether one does.
    pub(super) waiting: AtomicBool,
}

/// What sinks have set aside, in memory.
#[derive(Default)]
pub(crate) struct SetAside(pub(crate) Mutex<Vec<Rejected>>);

#[async_trait]
impl RejectedLog for SetAside {
    async fn append(&self, rejected: Vec<Rejected>) -> Result<()> {
        self.0.lock().extend(rejected);
        Ok(())
    }

    async fn list(
        &self,
        group: Option<&GroupName>,
        after: Option<RejectedId>,
        limit: usize,
    ) -> Result<(Vec<(RejectedId, Rejected)>, Option<RejectedId>)> {
        let all = self.0.lock();
        let records = all.iter().enumerate().map(|(offset, rejected)| {
            let id = RejectedId {
                partition: 0,
                offset: offset as u64,
            };
            (id, rejected.clone())
        });
        let mut records: Vec<_> = records
            .filter(|(id, rejected)| {
                after.is_none_or(|after| *id > after) && group.is_none_or(|group| *group == rejected.group)
            })
            .collect();
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|(id, _)| *id);
        Ok((records, next))
    }

    async fn get(&self, id: RejectedId) -> Result<Option<Rejected>> {
        let all = self.0.lock();
        Ok(all.get(usize::try_from(id.offset).unwrap_or(usize::MAX)).cloned())
    }
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
        let gate = self.gate.lock().clone();
        if let Some(gate) = gate {
            self.waiting.store(true, Ordering::SeqCst);
            gate.acquire().await.expect("open").forget();
        }
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
        self.read.lock().push((Topic::of(schema), from));
        let mut fetched = self.log.fetch(schema, partition, from, max_bytes, wait).await?;
        if self.identity.lock().is_some() {
            let until = SystemClock
                .now()
                .saturating_sub(forebay_model::Duration::from_micros(20_000));
            fetched.settled = fetched.rows.is_empty().then_some(until);
        }
        if let Some((offset, layout)) = *self.made_up.lock() {
            let is_there = fetched.rows.iter().any(|row| row.offset == offset);
            match self.unknown.lock().contains(&layout) {
                true => {
                    self.poison.lock().insert(offset);
                }
                false if is_there => {
                    return Err(StorageError::NewerLayout {
                        group: schema.name.clone(),
                        found: layout,
                        known: schema.layout,
                    });
                }
                false => {}
            }
        }
        let poison = self.poison.lock();
        for row in fetched.rows.extract_if(.., |row| poison.contains(&row.offset)) {
            fetched.unreadable.push(UnreadableRecord {
                offset: row.offset,
                code: "undecodable".to_owned(),
                detail: "the record ends early".to_owned(),
                key: Some(row.key),
                value: Bytes::from_static(b"poison"),
            });
        }
        Ok(fetched)
    }

    fn no_such_layout(&self, _: &Arc<GroupSchema>, layout: LayoutNumber) {
        self.unknown.lock().push(layout);
    }

    async fn offset_at(&self, schema: &Arc<GroupSchema>, partition: u32, time: Timestamp) -> Result<u64> {
        let told = *self.offset_at.lock();
        match told {
            Some(offset) => Ok(offset),
            None => self.log.offset_at(schema, partition, time).await,
        }
    }

    async fn identity(&self, _: &Arc<GroupSchema>) -> Result<Option<Uuid>> {
        Ok(*self.identity.lock())
    }

    fn fill(&self) -> (u64, u64) {
        self.log.fill()
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
        self.shared().await.process(1, self, false)
    }

    pub(super) async fn begin(&self) -> Life {
        self.shared().await.process(1, self, true)
    }

    /// Opens the stores.
    pub(super) async fn shared(&self) -> Arc<Shared> {
        self.shared_with(Arc::new(ProcessLeases::default())).await
    }

    pub(super) async fn shared_with(&self, leases: Arc<dyn Leases>) -> Arc<Shared> {
        let stores = EmbeddedStores::open(&self.folder.path().join("data"), Options::default()).expect("stores");
        let lake = LakeLocations::new(&self.folder.path().join("lake"), &[]).expect("a lake");
        let delta = DeltaStore::new(lake, Arc::new(SystemClock));
        for group in forebay_testkit::snapshot(&self.definitions).groups() {
            stores.row_log.ensure(&group.schema).await.expect("made");
            stores.online.ensure(&group.schema).await.expect("made");
            if group.has_history() {
                delta.ensure(&group.schema).await.expect("made");
            }
        }
        Arc::new(Shared {
            log: Arc::new(StubbornLog {
                log: stores.row_log.clone(),
                keeps: AtomicBool::new(false),
                identity: Mutex::default(),
                poison: Mutex::default(),
                made_up: Mutex::default(),
                offset_at: Mutex::default(),
                read: Mutex::default(),
                unknown: Mutex::default(),
                gate: Mutex::default(),
                waiting: AtomicBool::new(false),
            }),
            rejected: Arc::default(),
            announcements: Arc::default(),
            leases,
            delta,
            stores,
        })
    }
}

impl Shared {
    /// Begins a process; one that does not work has its endpoints only.
    pub(super) fn process(self: &Arc<Self>, id: u128, world: &World, working: bool) -> Life {
        self.process_with(id, world, working, self.leases.clone())
    }

    pub(super) fn process_with(
        self: &Arc<Self>,
        id: u128,
        world: &World,
        working: bool,
        leases: Arc<dyn Leases>,
    ) -> Life {
        let state = Arc::new(State::new(Deps {
            catalog: Arc::new(Catalog::new(forebay_testkit::snapshot(&world.definitions))),
            row_log: self.log.clone(),
            online: self.stores.online.clone(),
            offline: Arc::new(self.delta.clone()),
            claims: self.stores.claims.clone(),
            leases,
            announcements: self.announcements.clone(),
            rejected: self.rejected.clone(),
            process: Uuid::from_u128(id),
            clock: Arc::new(SystemClock),
            intake: IntakeConfig::default(),
            sinks: world.sinks.clone(),
        }));
        let stop = CancellationToken::new();
        let work = working.then(|| tables::supervise(state.clone(), stop.clone()));
        let (signalling, signals_stop) = (state.clone(), stop.clone());
        let supervisor = tokio::spawn(async move {
            let signals = signalling.signals.run(signals_stop);
            match work {
                Some(work) => {
                    tokio::join!(work, signals);
                }
                None => signals.await,
            }
        });
        Life {
            state,
            delta: self.delta.clone(),
            shared: self.clone(),
            stop,
            supervisor,
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
        let ingest = self.state.in_flight.begin(Topic::of(&self.schema(group)));
        self.push_at(group, batch, rows, ingest.time()).await
    }

    /// The same with an ingest time of its own.
    pub(super) async fn push_at(
        &self,
        group: &str,
        batch: BatchId,
        rows: &[(i64, i64, f64)],
        ingest_time: Timestamp,
    ) -> Vec<Appended> {
        let schema = self.schema(group);
        let layouts = Layouts::new(schema.clone());
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
            writer.finish(draft.event_time, ingest_time, false).expect("small");
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
