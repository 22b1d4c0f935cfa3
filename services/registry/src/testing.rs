//! Backends in memory and a running registry over them, for tests.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, atomic::AtomicU64},
};

use arrow_schema::{DataType as ArrowType, Field, Schema, TimeUnit};
use async_trait::async_trait;
use forebay_catalog::Catalog;
use forebay_model::{GroupSchema, ManualClock, Timestamp, definitions::ObjectId};
use forebay_server::TestServer;
use forebay_storage::conformance::{Installation, registry_store};
use forebay_storage::{
    Announcements, Changes, Head, Leases, ManifestEntry, ProcessAnnouncements, ProcessLeases, Provision, Published,
    RegistryStore, SourceError, SourceTable, SourceTables, StorageError, StoredObject, TableVersion,
};
use parking_lot::Mutex;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use crate::{Deps, service};

/// A registry store that forgets everything with the test.
#[derive(Default)]
pub struct MemoryStore {
    log: Mutex<Vec<Head>>,
    objects: Mutex<HashMap<(ObjectId, u64, uuid::Uuid), StoredObject>>,
    /// The next publications fail after or before they took effect.
    pub failing: Mutex<Vec<Failure>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    AfterIt,
    BeforeIt,
}

impl MemoryStore {
    pub fn revision(&self) -> u64 {
        self.log.lock().last().map_or(0, |head| head.registry_revision)
    }
}

#[async_trait]
impl RegistryStore for MemoryStore {
    async fn head(&self) -> forebay_storage::Result<Head> {
        Ok(self.log.lock().last().cloned().unwrap_or_default())
    }

    async fn write(&self, objects: &[StoredObject]) -> forebay_storage::Result<()> {
        let mut all = self.objects.lock();
        for object in objects {
            let key = (object.id.clone(), object.entry.revision, object.entry.apply_id);
            all.insert(key, object.clone());
        }
        Ok(())
    }

    async fn publish(&self, expected: u64, head: &Head) -> forebay_storage::Result<Published> {
        let failure = self.failing.lock().pop();
        let timed_out = StorageError::TimedOut {
            what: "the memory store",
        };
        if failure == Some(Failure::BeforeIt) {
            return Err(timed_out);
        }
        let mut log = self.log.lock();
        let current = log.last().cloned().unwrap_or_default();
        if current.registry_revision != expected {
            return Ok(Published::Moved(Box::new(current)));
        }
        log.push(head.clone());
        match failure {
            Some(_) => Err(timed_out),
            None => Ok(Published::Done),
        }
    }

    async fn objects(&self, ids: &[(ObjectId, ManifestEntry)]) -> forebay_storage::Result<Vec<Option<StoredObject>>> {
        let all = self.objects.lock();
        let keys = ids
            .iter()
            .map(|(id, entry)| (id.clone(), entry.revision, entry.apply_id));
        Ok(keys.map(|key| all.get(&key).cloned()).collect())
    }

    async fn log(&self, after: u64, limit: usize) -> forebay_storage::Result<Vec<Head>> {
        let log = self.log.lock();
        let later = log.iter().filter(|head| head.registry_revision > after);
        Ok(later.take(limit).cloned().collect())
    }
}

/// It outlives its handles, as a server does.
struct Server(Arc<MemoryStore>);

#[async_trait]
impl Installation<dyn RegistryStore> for Server {
    async fn open(&self) -> Arc<dyn RegistryStore> {
        self.0.clone()
    }
}

#[tokio::test]
async fn the_memory_store_is_a_registry_store() {
    registry_store(async || Server(Arc::default())).await;
}

/// Counts what it is asked for, and fails as often as it is told to.
#[derive(Default)]
pub struct MemoryTables {
    pub ensured: Mutex<BTreeMap<String, Vec<Arc<GroupSchema>>>>,
    pub purged: Mutex<Vec<Arc<GroupSchema>>>,
    pub failures: AtomicU64,
}

#[async_trait]
impl Provision for MemoryTables {
    fn what(&self) -> &'static str {
        "memory"
    }

    async fn ensure(&self, schema: &Arc<GroupSchema>) -> forebay_storage::Result<()> {
        use std::sync::atomic::Ordering::SeqCst;
        let failing = self.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        if failing.is_ok() {
            return Err(StorageError::Full { what: "the memory" });
        }
        let mut ensured = self.ensured.lock();
        ensured
            .entry(schema.name.to_string())
            .or_default()
            .push(Arc::clone(schema));
        Ok(())
    }

    async fn purge(&self, schema: &Arc<GroupSchema>) -> forebay_storage::Result<()> {
        self.purged.lock().push(Arc::clone(schema));
        Ok(())
    }
}

/// The table `listings`, and nothing else; whatever leaves the lake is refused.
pub struct MemorySources(pub BTreeSet<&'static str>);

#[async_trait]
impl SourceTables for MemorySources {
    async fn describe(&self, uri: &str) -> Result<SourceTable, SourceError> {
        if uri.contains("..") || uri.contains(':') || uri.starts_with('/') {
            let allowed = "the lake".to_owned();
            return Err(SourceError::NotAllowed {
                uri: uri.to_owned(),
                allowed,
            });
        }
        if !self.0.contains(uri) {
            return Err(SourceError::NotFound { uri: uri.to_owned() });
        }
        let timestamp = ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let fields = [
            ("product_id", ArrowType::Int64),
            ("updated_at", timestamp),
            ("status", ArrowType::Utf8),
            ("condominium_fee", ArrowType::Float64),
            ("rent_price", ArrowType::Float64),
            ("sale_price", ArrowType::Float64),
            ("neighborhood", ArrowType::Utf8),
            ("zoning", ArrowType::Utf8),
            ("building", ArrowType::Utf8),
            ("year_built", ArrowType::Int32),
            ("lot_area", ArrowType::Int32),
            ("living_area", ArrowType::Int32),
            ("bedrooms", ArrowType::Int32),
            ("bathrooms", ArrowType::Float64),
            ("garage_cars", ArrowType::Int32),
            ("central_air", ArrowType::Boolean),
            ("longitude", ArrowType::Float64),
            ("latitude", ArrowType::Float64),
        ];
        let fields: Vec<Field> = fields.into_iter().map(|(name, t)| Field::new(name, t, true)).collect();
        Ok(SourceTable {
            version: 0,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    async fn changes(
        &self,
        _uri: &str,
        _event_time: Option<&str>,
        _since: Option<TableVersion>,
        _limit: usize,
    ) -> Result<Changes, SourceError> {
        Ok(Changes::Listed(Vec::new()))
    }
}

/// What several registries share.
#[derive(Clone, Default)]
pub struct Shared {
    pub store: Arc<MemoryStore>,
    pub tables: Arc<MemoryTables>,
    pub announcements: Arc<ProcessAnnouncements>,
    pub leases: Arc<ProcessLeases>,
}

/// A registry that serves.
pub struct Running {
    pub server: TestServer,
    pub client: Client,
    /// What it is on, if that is in memory.
    pub store: Arc<MemoryStore>,
    pub tables: Arc<MemoryTables>,
    pub catalog: Arc<Catalog>,
}

impl Running {
    pub async fn start() -> Self {
        Self::beside(&Shared::default()).await
    }

    /// A registry over what another one left.
    pub async fn over(store: Arc<MemoryStore>, tables: Arc<MemoryTables>) -> Self {
        let shared = Shared {
            store,
            tables,
            ..Shared::default()
        };
        Self::beside(&shared).await
    }

    /// One of several registries.
    pub async fn beside(shared: &Shared) -> Self {
        let (announcements, leases) = (shared.announcements.clone(), shared.leases.clone());
        Self::with(shared.store.clone(), shared.tables.clone(), announcements, leases).await
    }

    pub async fn with(
        store: Arc<MemoryStore>,
        tables: Arc<MemoryTables>,
        announcements: Arc<dyn Announcements>,
        leases: Arc<dyn Leases>,
    ) -> Self {
        let mut running = Self::on(store.clone(), tables, announcements, leases).await;
        running.store = store;
        running
    }

    /// A registry on any store.
    pub async fn on(
        store: Arc<dyn RegistryStore>,
        tables: Arc<MemoryTables>,
        announcements: Arc<dyn Announcements>,
        leases: Arc<dyn Leases>,
    ) -> Self {
        let catalog = Arc::<Catalog>::default();
        let deps = Deps {
            store: store.clone(),
            announcements,
            leases,
            catalog: Arc::clone(&catalog),
            sources: Arc::new(MemorySources(BTreeSet::from(["listings"]))),
            online: tables.clone(),
            offline: tables.clone(),
            row_log: tables.clone(),
            clock: Arc::new(ManualClock::at(
                Timestamp::parse("2026-01-02T03:04:05Z").expect("a time"),
            )),
            work: tokio::runtime::Handle::current(),
            environment: "test".to_owned(),
            topic_environment: None,
            limits: BTreeMap::from([("rows_per_request".to_owned(), 10_000)]),
            loaded: Arc::default(),
        };
        crate::load(&*store, &catalog).await.expect("a readable store");
        let server = TestServer::start([service(deps)]).await;
        Self {
            server,
            client: Client::new(),
            store: Arc::default(),
            tables,
            catalog,
        }
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.server.url(path))
    }

    pub fn post_yaml(&self, path: &str, yaml: &str) -> RequestBuilder {
        let request = self.client.post(self.server.url(path));
        request.header("content-type", "application/yaml").body(yaml.to_owned())
    }

    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.client.delete(self.server.url(path))
    }

    /// Applies a bundle that must be fine.
    pub async fn applied(&self, yaml: &str) -> Value {
        answer(self.post_yaml("/v1/apply", yaml), 200).await
    }

    /// Reads what must be there.
    pub async fn read(&self, path: &str) -> Value {
        answer(self.get(path), 200).await
    }
}

/// The body of an answer that must have this status.
pub async fn answer(request: RequestBuilder, status: u16) -> Value {
    let response = request.send().await.expect("an answer");
    body(response, status).await
}

pub async fn body(response: Response, status: u16) -> Value {
    let found = response.status().as_u16();
    let text = response.text().await.expect("a body");
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// The contract's own example.
pub const CONTRACT: &str = include_str!("../../../shared/model/src/definitions/contract.yaml");

/// The example that is shipped; its `listings` has the columns of [`MemorySources`].
pub const EXAMPLE: &str = include_str!("../../../examples/real-estate/features.yaml");
