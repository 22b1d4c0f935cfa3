//! A compute service over real Delta tables and the embedded stores, in folders of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use arrow::{
    array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray},
    datatypes::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use deltalake::{
    DeltaTable,
    kernel::{StructType, engine::arrow_conversion::TryIntoKernel},
};
use forebay_catalog::{Catalog, Ready, Snapshot};
use forebay_model::{
    GroupName, ManualClock, Timestamp,
    definitions::{Definition, Dependency, parse_one},
    graph::Lineage,
};
use forebay_query::{Engine, EngineConfig, OfflineTables};
use forebay_server::TestServer;
use forebay_sql::BatchSql;
use forebay_storage::{Leases, OfflineStore, ProcessLeases, Provision};
use forebay_storage_delta::{DeltaStore, LakeLocations};
use forebay_testkit::TempStores;
use futures::TryStreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{BatchEngine, ComputeConfig, Deps, service};

/// 2026-01-01T00:00:00Z.
pub const NEW_YEAR: i64 = 1_767_225_600_000_000;
pub const HOUR: i64 = 3_600_000_000;

pub fn at(hours: i64) -> i64 {
    NEW_YEAR + hours * HOUR
}

/// Id, updated at (hours after new year), rent, sale.
pub type Listing = (Option<i64>, i64, Option<f64>, f64);

pub struct World {
    pub stores: Arc<TempStores>,
    pub lake: Arc<TempDir>,
    pub delta: Arc<DeltaStore>,
    pub catalog: Arc<Catalog>,
    pub clock: Arc<ManualClock>,
    pub server: TestServer,
    client: reqwest::Client,
}

pub type Ground = (Arc<TempDir>, Arc<TempStores>, Arc<ManualClock>);

pub fn config() -> ComputeConfig {
    ComputeConfig {
        scheduler: false,
        backoff: forebay_model::Duration::from_micros(10_000),
        poll: forebay_model::Duration::from_micros(20_000),
        ..ComputeConfig::default()
    }
}

impl World {
    pub async fn new(definitions: Value, config: ComputeConfig) -> Self {
        let (lake, stores, clock) = Self::ground();
        Self::over(definitions, config, lake, stores, clock, None).await
    }

    /// The same folders and stores under a service that begins anew.
    pub async fn restarted(self, definitions: Value, config: ComputeConfig) -> Self {
        self.server.stop().await;
        Self::over(definitions, config, self.lake, self.stores, self.clock, None).await
    }

    /// Folders, stores and clock for several processes.
    pub fn ground() -> Ground {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(at(1_000))));
        (Arc::new(TempDir::new().unwrap()), Arc::new(TempStores::open()), clock)
    }

    pub async fn over(
        definitions: Value,
        config: ComputeConfig,
        lake: Arc<TempDir>,
        stores: Arc<TempStores>,
        clock: Arc<ManualClock>,
        engine: Option<Arc<dyn BatchEngine>>,
    ) -> Self {
        let leases = Arc::new(ProcessLeases::default());
        Self::with(definitions, config, lake, stores, clock, engine, leases).await
    }

    #[allow(clippy::too_many_arguments)] // of a test's own
    pub async fn with(
        definitions: Value,
        config: ComputeConfig,
        lake: Arc<TempDir>,
        stores: Arc<TempStores>,
        clock: Arc<ManualClock>,
        engine: Option<Arc<dyn BatchEngine>>,
        leases: Arc<dyn Leases>,
    ) -> Self {
        let locations = LakeLocations::new(lake.path(), &[]).unwrap();
        let delta = Arc::new(DeltaStore::new(locations, clock.clone()));
        let catalog = Arc::new(Catalog::new(snapshot(&definitions)));
        for group in catalog.current().groups() {
            if group.has_history() {
                delta.ensure(&group.schema).await.unwrap();
            }
            if group.uses_row_log() {
                stores.row_log.ensure(&group.schema).await.unwrap();
            }
            group.readiness.set(Ready::Ready);
        }
        let tables = Arc::clone(&delta) as Arc<dyn OfflineTables>;
        let engine = engine.unwrap_or_else(|| {
            let config = EngineConfig {
                parallelism: 2,
                ..EngineConfig::new(lake.path().join("spill"))
            };
            Arc::new(Engine::new(config, tables).unwrap())
        });
        let deps = Deps {
            catalog: Arc::clone(&catalog),
            engine,
            offline: delta.clone(),
            sources: delta.clone(),
            runs: stores.runs.clone(),
            claims: stores.claims.clone(),
            row_log: stores.row_log.clone(),
            leases,
            clock: clock.clone(),
            config,
        };
        Self {
            stores,
            lake,
            delta,
            catalog,
            clock,
            server: TestServer::start([service(deps)]).await,
            client: reqwest::Client::new(),
        }
    }

    /// Appends rows to the source `listings`.
    pub async fn list(&self, rows: &[Listing]) {
        let times = TimestampMicrosecondArray::from(rows.iter().map(|row| at(row.1)).collect::<Vec<_>>());
        let batch = RecordBatch::try_from_iter_with_nullable([
            (
                "product_id",
                Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()) as ArrayRef,
                true,
            ),
            ("updated_at", Arc::new(times.with_timezone("UTC")), true),
            (
                "rent_price",
                Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
                true,
            ),
            (
                "sale_price",
                Arc::new(rows.iter().map(|row| Some(row.3)).collect::<Float64Array>()),
                true,
            ),
        ])
        .unwrap();
        let folder = self.lake.path().join("listings");
        let is_new = !folder.exists();
        std::fs::create_dir_all(&folder).unwrap();
        let url = url::Url::from_directory_path(&folder).unwrap();
        let mut table = DeltaTable::try_from_url(url).await.unwrap();
        if is_new {
            let schema: StructType = batch.schema().as_ref().try_into_kernel().unwrap();
            table = table.create().with_columns(schema.fields().cloned()).await.unwrap();
        }
        table.write([batch]).await.unwrap();
    }

    /// Key, event time in hours after new year, feature; sorted.
    pub async fn rows(&self, group: &str, feature: &str) -> Vec<(i64, i64, Option<f64>)> {
        let snapshot = self.catalog.current();
        let group = snapshot.group(&group.parse().unwrap()).unwrap();
        let (_, rows) = self.delta.rows(&group.schema, None).await.unwrap();
        let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();
        let mut found = Vec::new();
        for batch in batches {
            let keys = batch.column_by_name("product_id").unwrap().as_primitive::<Int64Type>();
            let times = batch.column_by_name("event_time").unwrap();
            let times = times.as_primitive::<TimestampMicrosecondType>();
            let ingests = batch.column_by_name("ingest_time").unwrap();
            let ingests = ingests.as_primitive::<TimestampMicrosecondType>();
            let sequences = batch.column_by_name("_sequence").unwrap().as_primitive::<Int64Type>();
            let values = batch.column_by_name(feature).unwrap().as_primitive::<Float64Type>();
            for row in 0..batch.num_rows() {
                assert!(ingests.value(row) >= times.value(row), "taken in before it was true");
                assert_eq!(sequences.value(row), ingests.value(row));
                let value = values.iter().nth(row).flatten();
                found.push((keys.value(row), (times.value(row) - NEW_YEAR) / HOUR, value));
            }
        }
        found.sort_by_key(|row| (row.0, row.1));
        found
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(self.server.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn post(&self, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.client.post(self.server.url(path));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn post_with_key(&self, path: &str, body: &Value, key: &str) -> (u16, Value) {
        let request = self
            .client
            .post(self.server.url(path))
            .json(body)
            .header("Idempotency-Key", key);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Server-sent events until the stream ends.
    pub async fn events(&self, path: &str) -> String {
        let response = self.client.get(self.server.url(path)).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response.text().await.unwrap()
    }

    /// Starts a run and waits for its end.
    pub async fn run(&self, body: Value) -> Value {
        let (status, run) = self.post("/v1/runs", Some(&body)).await;
        assert_eq!(status, 202, "{run}");
        self.finished(run["id"].as_str().unwrap()).await
    }

    pub async fn finished(&self, id: &str) -> Value {
        let path = format!("/v1/runs/{id}");
        self.until(&path, |run| {
            !matches!(run["state"].as_str(), Some("queued" | "running"))
        })
        .await
    }

    /// Asks again and again until the answer is as it should be.
    pub async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1_500 {
            let (_, answer) = self.get(path).await;
            if is_so(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not in 15 s: {}", self.get(path).await.1);
    }
}

pub fn snapshot(definitions: &Value) -> Snapshot {
    let definitions: Vec<Definition> = definitions
        .as_array()
        .unwrap()
        .iter()
        .map(|definition| parse_one(definition).unwrap())
        .collect();
    let mut lineages: BTreeMap<GroupName, Lineage> = BTreeMap::new();
    for definition in &definitions {
        let Definition::FeatureGroup(group) = definition else {
            continue;
        };
        let Some(batch) = &group.batch else {
            continue;
        };
        let sql = BatchSql::parse(&batch.sql).unwrap();
        let tables: BTreeSet<Dependency> = sql
            .tables()
            .iter()
            .filter_map(|table| match table.group() {
                Some(group) => Some(Dependency::Group(group)),
                None => table
                    .bare()
                    .filter(|name| !batch.inputs.contains_key(name))
                    .map(Dependency::Source),
            })
            .collect();
        let lineage = Lineage {
            tables,
            features: BTreeMap::new(),
        };
        lineages.insert(group.name.clone(), lineage);
    }
    Snapshot::of_definitions(definitions, &lineages).unwrap()
}

/// The domain, entity and source of all tests, and these groups.
pub fn definitions(groups: &[Value]) -> Value {
    let mut all = vec![
        json!({"kind": "Domain", "name": "product"}),
        json!({"kind": "Entity", "name": "product", "domain": "product", "keys": [{"name": "product_id", "type": "int64"}]}),
        json!({"kind": "Source", "name": "listings", "domain": "product", "delta": {"uri": "listings"}, "event_time": "updated_at"}),
    ];
    all.extend(groups.iter().cloned());
    Value::Array(all)
}

pub fn group(name: &str, features: &[&str], batch: Value) -> Value {
    let features: Vec<Value> = features
        .iter()
        .map(|name| json!({"name": name, "type": "float64"}))
        .collect();
    json!({"kind": "FeatureGroup", "name": name, "entities": ["product"], "features": features, "batch": batch})
}

/// product.value from the source, product.yield and product.share from it, product.mix from both.
pub fn diamond(trigger: Option<Value>) -> Value {
    let batch = |sql: &str| match &trigger {
        None => json!({"sql": sql}),
        Some(trigger) => json!({"sql": sql, "trigger": trigger}),
    };
    definitions(&[
        group(
            "product.value",
            &["rent_price", "sale_price"],
            batch("SELECT product_id, updated_at AS event_time, rent_price, sale_price FROM listings"),
        ),
        group(
            "product.yield",
            &["gross_yield"],
            batch("SELECT product_id, event_time, rent_price * 12 / sale_price AS gross_yield FROM product.value"),
        ),
        group(
            "product.share",
            &["share"],
            batch(
                "SELECT product_id, event_time, sale_price / sum(sale_price) OVER (PARTITION BY event_time) AS share FROM product.value",
            ),
        ),
        group("product.mix", &["mix"], {
            let mut mix = batch("SELECT product_id, event_time, y + s AS mix FROM i");
            mix["inputs"] = json!({"i": {"features": [
                {"feature": "product.yield.gross_yield", "as": "y"}, {"feature": "product.share.share", "as": "s"}]}});
            mix
        }),
    ])
}

/// The states of a run's tasks by group.
pub fn states(run: &Value) -> Vec<(String, String)> {
    let tasks = run["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|task| {
            (
                task["group"].as_str().unwrap().to_owned(),
                task["state"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

pub fn task<'a>(run: &'a Value, group: &str) -> &'a Value {
    let tasks = run["tasks"].as_array().unwrap();
    tasks.iter().find(|task| task["group"] == group).unwrap()
}
