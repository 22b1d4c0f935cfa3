//! The service as a process of its own, over Cassandra, Kafka and the lake.

use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_networked::settings::{
    self, CassandraConfig, Common, DataDir, EngineSection, KafkaConfig, LakeConfig, LogsConfig, RegistryConfig,
    RuntimesConfig, ServerConfig, TelemetryConfig,
};
use forebay_networked::{
    BackendError, Lake, Process, Refused, Stream, Tables, engine, follow, lake, needs, stream, tables,
};
use forebay_query::Engine;
use forebay_server::Service;
use serde::{Deserialize, Serialize};

use crate::{ComputeConfig, Deps, service};

/// The sections that it reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub server: ServerConfig,
    pub runtimes: RuntimesConfig,
    pub logs: LogsConfig,
    pub telemetry: TelemetryConfig,
    pub registry: RegistryConfig,
    pub storage: DataDir,
    pub cassandra: CassandraConfig,
    pub kafka: KafkaConfig,
    pub lake: LakeConfig,
    pub engine: EngineSection,
    pub compute: ComputeConfig,
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

/// `forebay-compute`.
#[derive(Debug)]
pub struct Program;

impl forebay_networked::Program for Program {
    const NAME: &'static str = "compute";
    const PROGRAM: &'static str = "forebay-compute";
    const ABOUT: &'static str = "Computes batch groups: runs and their schedule";
    type Settings = Settings;

    fn check(settings: &Settings) -> Result<(), Refused> {
        needs::tables(Self::NAME, &settings.cassandra)?;
        needs::stream(Self::NAME, &settings.kafka)?;
        needs::lake(Self::NAME, &settings.lake)?;
        needs::registry(Self::NAME, &settings.registry)
    }

    async fn open(settings: &Settings, process: &Process) -> Result<Service, BackendError> {
        let (registry, data_dir) = (&settings.registry, settings.storage.data_dir.as_path());
        let (tables, stream, lake) = tokio::try_join!(
            tables(process, &settings.cassandra, registry),
            stream(process, &settings.kafka, registry),
            lake(process, &settings.lake, registry, Some(data_dir))
        )?;
        let engine = engine(process, &settings.engine, data_dir, &lake).await?;
        let followed = follow(process, registry, &stream).await?;
        let config = &settings.compute;
        let service = compose(process, config, &followed.catalog, &tables, &stream, &lake, &engine);
        Ok(followed.with(service))
    }
}

fn measured(engine: &Engine) -> impl Fn() + Send + Sync + 'static {
    forebay_telemetry::describe(forebay_query::METRICS);
    let engine = engine.clone();
    move || engine.measure()
}

/// The service over what a process has opened.
pub fn compose(
    process: &Process,
    config: &ComputeConfig,
    catalog: &Arc<Catalog>,
    tables: &Tables,
    stream: &Stream,
    lake: &Lake,
    engine: &Engine,
) -> Service {
    service(Deps {
        catalog: catalog.clone(),
        engine: Arc::new(engine.clone()),
        offline: lake.offline.clone(),
        sources: lake.sources.clone(),
        runs: tables.runs.clone(),
        claims: tables.claims.clone(),
        row_log: stream.row_log.clone(),
        leases: tables.leases.clone(),
        clock: process.clock.clone(),
        config: config.clone(),
    })
    .measured(measured(engine))
}
