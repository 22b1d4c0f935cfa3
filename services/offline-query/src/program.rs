//! The service as a process of its own, over Kafka and the lake.

use std::path::Path;
use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_networked::settings::{
    self, Common, DataDir, EngineSection, KafkaConfig, LakeConfig, LogsConfig, OfflineQueryLimits, RegistryConfig,
    RuntimesConfig, ServerConfig, TelemetryConfig,
};
use forebay_networked::{BackendError, Lake, Process, Refused, engine, follow, lake, needs, stream};
use forebay_progress::Signals;
use forebay_query::Engine;
use forebay_server::Service;
use forebay_storage::SettledTime;
use serde::{Deserialize, Serialize};

use crate::{Deps, SpineFolder, service};

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
    pub kafka: KafkaConfig,
    pub lake: LakeConfig,
    pub engine: EngineSection,
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

/// `forebay-offline-query`.
#[derive(Debug)]
pub struct Program;

impl forebay_networked::Program for Program {
    const NAME: &'static str = "offline-query";
    const PROGRAM: &'static str = "forebay-offline-query";
    const ABOUT: &'static str = "Serves features as they were";
    type Settings = Settings;

    fn check(settings: &Settings) -> Result<(), Refused> {
        needs::stream(Self::NAME, &settings.kafka)?;
        needs::lake(Self::NAME, &settings.lake)?;
        needs::registry(Self::NAME, &settings.registry)
    }

    async fn open(settings: &Settings, process: &Process) -> Result<Service, BackendError> {
        let (registry, data_dir) = (&settings.registry, settings.storage.data_dir.as_path());
        let (stream, lake) = tokio::try_join!(
            stream(process, &settings.kafka, registry),
            lake(process, &settings.lake, registry, Some(data_dir))
        )?;
        let engine = engine(process, &settings.engine, data_dir, &lake).await?;
        let followed = follow(process, registry, &stream).await?;
        let catalog = &followed.catalog;
        // What the sinks of other processes say, for a process that only asks.
        let (announcements, clock) = (stream.announcements.clone(), process.clock.clone());
        let signals = Signals::new(announcements, catalog.clone(), clock, process.id);
        let settled = signals.settled().clone();
        let service = compose(
            process,
            settings.offline_query,
            data_dir,
            catalog,
            &lake,
            &engine,
            settled,
        );
        let service = service.task("signals", move |stop| async move { signals.run(stop).await });
        Ok(followed.with(service))
    }
}

/// The service over what a process has opened.
pub fn compose(
    process: &Process,
    limits: OfflineQueryLimits,
    data_dir: &Path,
    catalog: &Arc<Catalog>,
    lake: &Lake,
    engine: &Engine,
    settled: Arc<dyn SettledTime>,
) -> Service {
    service(Deps {
        catalog: catalog.clone(),
        engine: engine.clone(),
        settled,
        spines: SpineFolder {
            store: lake.spines.store().clone(),
            path: lake.spines.path().clone(),
            url: lake.spines.url().clone(),
        },
        scratch: data_dir.join("uploads"),
        clock: process.clock.clone(),
        work: process.work.clone(),
        limits,
    })
    .measured(measured(engine))
}

fn measured(engine: &Engine) -> impl Fn() + Send + Sync + 'static {
    forebay_telemetry::describe(forebay_query::METRICS);
    let engine = engine.clone();
    move || engine.measure()
}
