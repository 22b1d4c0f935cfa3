//! The service as a process of its own, over Cassandra, Kafka and the lake.

use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_networked::settings::{
    self, CassandraConfig, Common, DataDir, IntakeConfig, KafkaConfig, LakeConfig, LogsConfig, RegistryConfig,
    RuntimesConfig, ServerConfig, TelemetryConfig,
};
use forebay_networked::{BackendError, Lake, Process, Refused, Stream, Tables, follow, lake, needs, stream, tables};
use forebay_server::Service;
use serde::{Deserialize, Serialize};

use crate::{Deps, SinksConfig, State, service_of};

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
    pub ingestion: IntakeConfig,
    pub sinks: SinksConfig,
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

/// `forebay-ingestion`.
#[derive(Debug)]
pub struct Program;

impl forebay_networked::Program for Program {
    const NAME: &'static str = "ingestion";
    const PROGRAM: &'static str = "forebay-ingestion";
    const ABOUT: &'static str = "Takes rows in and brings them into both stores";
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
        let followed = follow(process, registry, &stream).await?;
        let (intake, sinks) = (&settings.ingestion, &settings.sinks);
        let state = compose(process, intake, sinks, &followed.catalog, &tables, &stream, &lake);
        Ok(followed.with(service_of(Arc::new(state))))
    }
}

/// The state of the service over what a process has opened; others in the process may share it.
pub fn compose(
    process: &Process,
    intake: &IntakeConfig,
    sinks: &SinksConfig,
    catalog: &Arc<Catalog>,
    tables: &Tables,
    stream: &Stream,
    lake: &Lake,
) -> State {
    State::new(Deps {
        catalog: catalog.clone(),
        row_log: stream.row_log.clone(),
        online: tables.online.clone(),
        offline: lake.offline.clone(),
        claims: tables.claims.clone(),
        leases: tables.leases.clone(),
        announcements: stream.announcements.clone(),
        rejected: stream.rejected.clone(),
        process: process.id,
        clock: process.clock.clone(),
        intake: intake.clone(),
        sinks: sinks.clone(),
    })
}
