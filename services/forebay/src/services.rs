//! The services of a process over its backends: each gets what it needs and no more.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_ingestion::State as Ingestion;
use forebay_progress::Signals;
use forebay_query::Engine;
use forebay_server::{Service, Starting};
use forebay_storage::SettledTime;
use tokio::runtime::Handle;
use tokio::try_join;

use crate::backends::{BackendError, Backends, Lake, Stream, Tables, follow, load};
use crate::config::Config;
use crate::role::Role;

/// What all services are made with.
pub struct Composition<'a> {
    pub config: &'a Config,
    pub backends: &'a Backends<'a>,
    pub starting: &'a Starting,
    /// Where work runs that takes long.
    pub work: &'a Handle,
}

impl Composition<'_> {
    /// One service, or all of them.
    ///
    /// # Errors
    /// When a backend cannot be opened, and waiting for it does not help.
    pub async fn services(&self, role: Option<Role>) -> Result<Vec<Service>, BackendError> {
        match role {
            None => self.all().await,
            Some(role) => Ok(vec![self.one(role).await?]),
        }
    }

    /// All services share one catalog, which the registry among them keeps.
    async fn all(&self) -> Result<Vec<Service>, BackendError> {
        let backends = self.backends;
        let (tables, stream, lake) = try_join!(backends.tables(), backends.stream(), backends.lake())?;
        let engine = backends.engine(&lake).await?;
        let catalog = load(&tables, self.starting).await?;
        let ingestion = Arc::new(self.ingestion(&catalog, &tables, &stream, &lake));
        let settled = ingestion.settled.clone();
        Ok(vec![
            self.registry(&catalog, &tables, &stream, &lake),
            self.compute(&catalog, &tables, &stream, &lake, &engine),
            self.offline_query(&catalog, &lake, &engine, settled),
            forebay_ingestion::service_of(ingestion),
            self.online_serving(&catalog, &tables),
        ])
    }

    async fn one(&self, role: Role) -> Result<Service, BackendError> {
        let backends = self.backends;
        match role {
            Role::Registry => {
                let (tables, stream, lake) = try_join!(backends.tables(), backends.stream(), backends.lake())?;
                let catalog = load(&tables, self.starting).await?;
                Ok(self.registry(&catalog, &tables, &stream, &lake))
            }
            Role::Compute => {
                let (tables, stream, lake) = try_join!(backends.tables(), backends.stream(), backends.lake())?;
                let engine = backends.engine(&lake).await?;
                let followed = follow(&self.config.registry, &stream, self.starting).await?;
                let service = self.compute(&followed.catalog, &tables, &stream, &lake, &engine);
                Ok(followed.with(service))
            }
            Role::Ingestion => {
                let (tables, stream, lake) = try_join!(backends.tables(), backends.stream(), backends.lake())?;
                let followed = follow(&self.config.registry, &stream, self.starting).await?;
                let state = self.ingestion(&followed.catalog, &tables, &stream, &lake);
                Ok(followed.with(forebay_ingestion::service_of(Arc::new(state))))
            }
            Role::OnlineServing => {
                let (tables, stream) = try_join!(backends.tables(), backends.stream())?;
                let followed = follow(&self.config.registry, &stream, self.starting).await?;
                let service = self.online_serving(&followed.catalog, &tables);
                Ok(followed.with(service))
            }
            Role::OfflineQuery => {
                let (stream, lake) = try_join!(backends.stream(), backends.lake())?;
                let engine = backends.engine(&lake).await?;
                let followed = follow(&self.config.registry, &stream, self.starting).await?;
                let signals = self.signals(&followed.catalog, &stream);
                let service = self.offline_query(&followed.catalog, &lake, &engine, signals.settled().clone());
                let service = service.task("signals", move |stop| async move { signals.run(stop).await });
                Ok(followed.with(service))
            }
        }
    }

    fn registry(&self, catalog: &Arc<Catalog>, tables: &Tables, stream: &Stream, lake: &Lake) -> Service {
        forebay_registry::service(forebay_registry::Deps {
            store: tables.registry.clone(),
            catalog: catalog.clone(),
            sources: lake.sources.clone(),
            online: tables.online.clone(),
            offline: lake.offline.clone(),
            row_log: stream.row_log.clone(),
            announcements: stream.announcements.clone(),
            leases: tables.leases.clone(),
            clock: self.backends.clock.clone(),
            work: self.work.clone(),
            environment: self.config.registry.environment.clone(),
            topic_environment: self.config.registry.prefix().map(str::to_owned),
            limits: limits(self.config),
            loaded: Arc::default(),
        })
    }

    fn compute(
        &self,
        catalog: &Arc<Catalog>,
        tables: &Tables,
        stream: &Stream,
        lake: &Lake,
        engine: &Engine,
    ) -> Service {
        forebay_compute::service(forebay_compute::Deps {
            catalog: catalog.clone(),
            engine: Arc::new(engine.clone()),
            offline: lake.offline.clone(),
            sources: lake.sources.clone(),
            runs: tables.runs.clone(),
            claims: tables.claims.clone(),
            row_log: stream.row_log.clone(),
            leases: tables.leases.clone(),
            clock: self.backends.clock.clone(),
            config: self.config.compute.clone(),
        })
    }

    fn ingestion(&self, catalog: &Arc<Catalog>, tables: &Tables, stream: &Stream, lake: &Lake) -> Ingestion {
        Ingestion::new(forebay_ingestion::Deps {
            catalog: catalog.clone(),
            row_log: stream.row_log.clone(),
            online: tables.online.clone(),
            offline: lake.offline.clone(),
            claims: tables.claims.clone(),
            leases: tables.leases.clone(),
            announcements: stream.announcements.clone(),
            rejected: stream.rejected.clone(),
            process: self.backends.process,
            clock: self.backends.clock.clone(),
            intake: self.config.ingestion.clone(),
            sinks: self.config.sinks.clone(),
        })
    }

    fn online_serving(&self, catalog: &Arc<Catalog>, tables: &Tables) -> Service {
        forebay_online_serving::service(forebay_online_serving::Deps {
            catalog: catalog.clone(),
            store: tables.online.clone(),
            clock: self.backends.clock.clone(),
            limits: self.config.online_serving,
        })
    }

    fn offline_query(
        &self,
        catalog: &Arc<Catalog>,
        lake: &Lake,
        engine: &Engine,
        settled: Arc<dyn SettledTime>,
    ) -> Service {
        forebay_offline_query::service(forebay_offline_query::Deps {
            catalog: catalog.clone(),
            engine: engine.clone(),
            settled,
            spines: lake.spines.clone(),
            scratch: self.config.storage.data_dir.join("uploads"),
            clock: self.backends.clock.clone(),
            work: self.work.clone(),
            limits: self.config.offline_query,
        })
    }

    /// What the sinks of other processes say, for a process that only asks.
    fn signals(&self, catalog: &Arc<Catalog>, stream: &Stream) -> Signals {
        let Backends { clock, process, .. } = self.backends;
        Signals::new(stream.announcements.clone(), catalog.clone(), clock.clone(), *process)
    }
}

/// The limits that callers meet, as `GET /v1/info` names them.
fn limits(config: &Config) -> BTreeMap<String, u64> {
    let limits = [
        ("request_body_bytes", config.server.max_body_bytes),
        ("ingestion_body_bytes", config.ingestion.max_body_bytes),
        ("ingestion_rows", config.ingestion.max_rows),
        ("online_features", config.online_serving.features),
        ("online_entities", config.online_serving.entities),
        ("online_values", config.online_serving.values),
        ("historical_features", config.offline_query.features),
        ("historical_inline_rows", config.offline_query.inline_rows),
        ("historical_entities", config.offline_query.entities),
        ("historical_json_values", config.offline_query.json_values),
        ("spine_bytes", config.offline_query.upload_bytes),
    ];
    let limits = limits.map(|(name, limit)| (name.to_owned(), u64::try_from(limit).unwrap_or(u64::MAX)));
    let mut limits = BTreeMap::from(limits);
    limits.insert("spine_rows".to_owned(), config.offline_query.upload_rows);
    limits
}
