//! Lakes of tests, and what lies in them.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::{
    array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray},
    datatypes::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use forebay_model::{Clock, Duration, GroupSchema, ManualClock, SystemClock};
use forebay_storage::{Advance, Append, CommitIdentity, OfflineStore, Provision, Secret, conformance::schemas};
use forebay_testbed::S3Address;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStoreExt, PutPayload, path::Path as ObjectPath};

use crate::{
    DeltaStore, LakeConfig, LakeLocations, Location, S3Config, columns,
    write::{self, WriteColumns},
};

/// A place of its own for one test.
pub(crate) struct Lake {
    pub(crate) config: LakeConfig,
    pub(crate) store: DeltaStore,
    /// A further place that may be read.
    pub(crate) elsewhere: Location,
    _folders: Vec<tempfile::TempDir>,
}

impl Lake {
    pub(crate) fn local() -> Self {
        let (root, elsewhere) = (tempfile::tempdir(), tempfile::tempdir());
        let (root, elsewhere) = (root.expect("a folder"), elsewhere.expect("a folder"));
        let text = |folder: &tempfile::TempDir| folder.path().display().to_string();
        let config = LakeConfig {
            root: Some(text(&root)),
            allowed: vec![text(&elsewhere)],
            ..LakeConfig::default()
        };
        Self::of(config, vec![root, elsewhere])
    }

    /// A prefix of the server that all tests of this process share.
    pub(crate) fn on_s3() -> Self {
        Self::on_server(&forebay_testbed::s3().endpoint, S3Config::default())
    }

    /// A prefix of a server, with short deadlines where `s3` says so.
    pub(crate) fn on_server(endpoint: &str, s3: S3Config) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let micros = SystemClock.now().micros();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let (bucket, process) = (S3Address::BUCKET, std::process::id());
        let place = format!("s3://{bucket}/storage-delta/{micros:x}-{process}-{count}");
        let config = LakeConfig {
            root: Some(format!("{place}/root")),
            allowed: vec![format!("{place}/elsewhere")],
            s3: S3Config {
                endpoint: endpoint.to_owned(),
                region: S3Address::REGION.to_owned(),
                access_key_id: S3Address::ACCESS_KEY.to_owned(),
                secret_access_key: Secret::new(S3Address::SECRET_KEY),
                allow_http: true,
                ..s3
            },
        };
        Self::of(config, Vec::new())
    }

    fn of(config: LakeConfig, folders: Vec<tempfile::TempDir>) -> Self {
        let store = store_of(&config);
        let elsewhere = match config.allowed[0].strip_prefix('/') {
            Some(folder) => format!("file:///{folder}"),
            None => config.allowed[0].clone(),
        };
        Self {
            elsewhere: store.locations().of_uri(&elsewhere).expect("allowed"),
            store,
            config,
            _folders: folders,
        }
    }

    /// A store of another process.
    pub(crate) fn another(&self) -> DeltaStore {
        store_of(&self.config)
    }

    /// A store of another process, whose clock runs ahead by so much.
    pub(crate) fn ahead(&self, by: Duration) -> DeltaStore {
        let clock = ManualClock::at(SystemClock.now().saturating_add(by));
        DeltaStore::new(self.store.locations().clone(), Arc::new(clock))
    }

    /// All that lies in a place, by path.
    pub(crate) async fn objects(&self, location: &Location) -> Vec<ObjectMeta> {
        let listed = location.store().list(Some(location.path()));
        let mut objects: Vec<_> = listed.try_collect().await.expect("listed");
        objects.sort_by(|one: &ObjectMeta, other| one.location.cmp(&other.location));
        objects
    }

    /// How many data files lie in a table's folder, be they of its newest version or not.
    pub(crate) async fn data_files(&self, schema: &GroupSchema) -> usize {
        let objects = self.objects(&self.store.locations().of_group(schema)).await;
        objects
            .iter()
            .filter(|object| {
                object.location.extension() == Some("parquet") && !object.location.as_ref().contains("_delta_log")
            })
            .count()
    }

    /// Puts bytes to a path under the root.
    pub(crate) async fn put(&self, relative: &str, bytes: impl Into<PutPayload>) {
        put(&self.store.locations().root().join(relative), bytes.into()).await;
    }

    /// Puts bytes to a path under the further place.
    pub(crate) async fn put_elsewhere(&self, relative: &str, bytes: impl Into<PutPayload>) {
        put(&self.elsewhere.join(relative), bytes.into()).await;
    }

    /// Removes one log entry, as others may.
    pub(crate) async fn remove_entry(&self, schema: &GroupSchema, version: u64) {
        let table = self.store.locations().of_group(schema);
        let path = entry(&table, version);
        match table.store().delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(failure) => panic!("{failure}"),
        }
    }
}

async fn put(location: &Location, bytes: PutPayload) {
    if let Some(parent) = location.local().and_then(Path::parent) {
        std::fs::create_dir_all(parent).expect("made");
    }
    location.store().put(location.path(), bytes).await.expect("put");
}

pub(crate) fn entry(table: &Location, version: u64) -> ObjectPath {
    table.join(&format!("_delta_log/{version:020}.json")).path().clone()
}

pub(crate) fn store_of(config: &LakeConfig) -> DeltaStore {
    let locations = LakeLocations::open(config, Path::new("unused"), None).expect("a lake");
    DeltaStore::new(locations, Arc::new(SystemClock))
}

/// Short deadlines.
pub(crate) fn impatient() -> S3Config {
    let seconds = |seconds: i64| Duration::from_micros(seconds * 1_000_000);
    S3Config {
        timeout: seconds(2),
        connect_timeout: seconds(1),
        retries: 2,
        retry_timeout: seconds(3),
        ..S3Config::default()
    }
}

/// A group's table, made.
pub(crate) async fn made(store: &DeltaStore) -> Arc<GroupSchema> {
    let schema = schemas::prices(0);
    store.ensure(&schema).await.expect("made");
    schema
}

/// Rows with the ids asked for; the second and price follow from them.
pub(crate) fn batch(ids: impl Iterator<Item = i64>) -> RecordBatch {
    let ids: Vec<i64> = ids.collect();
    let times = || {
        let micros: Vec<i64> = ids.iter().map(|id| id * 1_000_000 + 7).collect();
        Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC")) as ArrayRef
    };
    let prices: Float64Array = ids.iter().map(|id| Some(*id as f64 / 2.0)).collect();
    RecordBatch::try_from_iter([
        ("price", Arc::new(prices) as ArrayRef),
        ("event_time", times()),
        ("ingest_time", times()),
        ("id", Arc::new(Int64Array::from(ids.clone()))),
    ])
    .expect("a batch")
}

/// The rows `from..to` of the log, of which each offset is an id.
pub(crate) fn moving(from: u64, to: u64) -> Append {
    let ids = i64::try_from(from).expect("small")..i64::try_from(to).expect("small");
    Append {
        identity: CommitIdentity::Positions(vec![Advance { partition: 0, from, to }]),
        rows: stream::iter([Ok(batch(ids))]).boxed(),
        notes: BTreeMap::new(),
    }
}

/// Puts rows into the table's folder as a writer does before its commit.
pub(crate) async fn upload(store: &DeltaStore, schema: &GroupSchema, ids: std::ops::Range<i64>) {
    let table = crate::table::Table::new(store.locations().of_group(schema));
    let base = table.newest().await.expect("read").expect("there");
    let columns = WriteColumns {
        sort: columns::sort_columns(schema),
        statistics: columns::statistics_columns(schema),
    };
    let mut writer = write::writer(&base, &columns, None).expect("a writer");
    let rows = write::conform(&batch(ids), &write::file_schema(&base).expect("a schema")).expect("it fits");
    writer.write(&rows).await.expect("written");
    writer.close().await.expect("uploaded");
}

/// A run's rows.
pub(crate) fn running(run: &str, ids: std::ops::Range<i64>) -> Append {
    Append {
        identity: CommitIdentity::Run(run.to_owned()),
        rows: stream::iter([Ok(batch(ids))]).boxed(),
        notes: BTreeMap::new(),
    }
}

/// The ids of all rows, sorted; the other columns are checked to be what they were.
pub(crate) async fn ids(store: &DeltaStore, schema: &Arc<GroupSchema>, version: Option<u64>) -> Vec<i64> {
    let (_, rows) = store.rows(schema, version).await.expect("rows");
    let batches: Vec<RecordBatch> = rows.try_collect().await.expect("rows");
    let mut all = Vec::new();
    for batch in &batches {
        let ids = batch.column(0).as_primitive::<Int64Type>().values();
        let times = batch.column(1).as_primitive::<TimestampMicrosecondType>().values();
        let prices = batch
            .column_by_name("price")
            .expect("a feature")
            .as_primitive::<Float64Type>()
            .values();
        for ((id, time), price) in ids.iter().zip(times).zip(prices) {
            assert_eq!((*time, *price), (id * 1_000_000 + 7, *id as f64 / 2.0));
        }
        all.extend_from_slice(ids);
    }
    all.sort_unstable();
    all
}
