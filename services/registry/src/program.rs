//! The service as a process of its own, over Cassandra, Kafka and the lake.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_networked::settings::{
    self, CassandraConfig, Common, IntakeConfig, KafkaConfig, LakeConfig, LogsConfig, OfflineQueryLimits,
    OnlineServingLimits, RegistryConfig, RuntimesConfig, ServerConfig, TelemetryConfig,
};
use forebay_networked::waiting::{self, Missing};
use forebay_networked::{BackendError, Lake, Process, Refused, Stream, Tables, lake, migrate, needs, stream, tables};
use forebay_server::{Service, Starting};
use serde::{Deserialize, Serialize};

use crate::{Deps, load, service};

/// The sections that it reads; of the other services' those with the limits that `GET /v1/info` names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub server: ServerConfig,
    pub runtimes: RuntimesConfig,
    pub logs: LogsConfig,
    pub telemetry: TelemetryConfig,
    pub registry: RegistryConfig,
    pub cassandra: CassandraConfig,
    pub kafka: KafkaConfig,
    pub lake: LakeConfig,
    pub ingestion: IntakeConfig,
    pub online_serving: OnlineServingLimits,
    pub offline_query: OfflineQueryLimits,
}

impl settings::Settings for Settings {
    fn common(&self) -> Common<'_> {
        Common {
            server: &self.server,
            runtimes: &self.runtimes,
            logs: &self.logs,
            telemetry: &self.telemetry,
            registry: &self.registry,
        }
    }
}

/// `forebay-registry`.
#[derive(Debug)]
pub struct Program;

impl forebay_networked::Program for Program {
    const NAME: &'static str = "registry";
    const PROGRAM: &'static str = "forebay-registry";
    const ABOUT: &'static str = "Keeps definitions and tells the other services";
    const MIGRATES: bool = true;
    type Settings = Settings;

    fn check(settings: &Settings) -> Result<(), Refused> {
        needs::tables(Self::NAME, &settings.cassandra)?;
        needs::stream(Self::NAME, &settings.kafka)?;
        needs::lake(Self::NAME, &settings.lake)
    }

    async fn open(settings: &Settings, process: &Process) -> Result<Service, BackendError> {
        let registry = &settings.registry;
        let (tables, stream, lake) = tokio::try_join!(
            tables(process, &settings.cassandra, registry),
            stream(process, &settings.kafka, registry),
            lake(process, &settings.lake, registry, None)
        )?;
        let catalog = read(process, &tables).await?;
        let limits = limits(
            &settings.server,
            &settings.ingestion,
            &settings.online_serving,
            &settings.offline_query,
        );
        Ok(compose(process, registry, limits, &catalog, &tables, &stream, &lake))
    }

    async fn migrate(settings: &Settings, starting: &Starting) -> Result<Vec<String>, BackendError> {
        migrate(starting, &settings.registry, &settings.cassandra, &settings.kafka).await
    }
}

/// The catalog of a process with a registry of its own, which keeps it from here on.
///
/// # Errors
/// None but that of waiting, which has no end here.
pub async fn read(process: &Process, tables: &Tables) -> Result<Arc<Catalog>, BackendError> {
    let catalog = Arc::new(Catalog::default());
    let attempt = async || {
        let loaded = load(&*tables.registry, &catalog).await;
        loaded.map_err(|refusal| Missing::Yet(refusal.to_string()))
    };
    let revision = waiting::until(&process.starting, "definitions", "the registry's store", attempt).await;
    let registry_revision = revision.map_err(BackendError::Never)?;
    tracing::info!(registry_revision, "the registry is read");
    Ok(catalog)
}

/// The service over what a process has opened.
pub fn compose(
    process: &Process,
    registry: &RegistryConfig,
    limits: BTreeMap<String, u64>,
    catalog: &Arc<Catalog>,
    tables: &Tables,
    stream: &Stream,
    lake: &Lake,
) -> Service {
    service(Deps {
        store: tables.registry.clone(),
        catalog: catalog.clone(),
        sources: lake.sources.clone(),
        online: tables.online.clone(),
        offline: lake.offline.clone(),
        row_log: stream.row_log.clone(),
        announcements: stream.announcements.clone(),
        leases: tables.leases.clone(),
        clock: process.clock.clone(),
        work: process.work.clone(),
        environment: registry.environment.clone(),
        topic_environment: registry.prefix().map(str::to_owned),
        limits,
        loaded: Arc::default(),
    })
}

/// The limits that callers meet, as `GET /v1/info` names them.
#[must_use]
pub fn limits(
    server: &ServerConfig,
    ingestion: &IntakeConfig,
    online_serving: &OnlineServingLimits,
    offline_query: &OfflineQueryLimits,
) -> BTreeMap<String, u64> {
    let limits = [
        ("request_body_bytes", server.max_body_bytes),
        ("ingestion_body_bytes", ingestion.max_body_bytes),
        ("ingestion_rows", ingestion.max_rows),
        ("online_features", online_serving.features),
        ("online_entities", online_serving.entities),
        ("online_values", online_serving.values),
        ("historical_features", offline_query.features),
        ("historical_inline_rows", offline_query.inline_rows),
        ("historical_entities", offline_query.entities),
        ("historical_json_values", offline_query.json_values),
        ("spine_bytes", offline_query.upload_bytes),
    ];
    let limits = limits.map(|(name, limit)| (name.to_owned(), u64::try_from(limit).unwrap_or(u64::MAX)));
    let mut limits = BTreeMap::from(limits);
    limits.insert("spine_rows".to_owned(), offline_query.upload_rows);
    limits
}
