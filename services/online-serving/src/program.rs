//! The service as a process of its own, over Cassandra and Kafka.

use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_networked::settings::{
    self, CassandraConfig, Common, KafkaConfig, LogsConfig, OnlineServingLimits, RegistryConfig, RuntimesConfig,
    ServerConfig, TelemetryConfig,
};
use forebay_networked::{BackendError, Process, Refused, Tables, follow, needs, stream, tables};
use forebay_server::Service;
use serde::{Deserialize, Serialize};

use crate::{Deps, service};

/// The sections that it reads.
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
    pub online_serving: OnlineServingLimits,
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

/// `forebay-online-serving`.
#[derive(Debug)]
pub struct Program;

impl forebay_networked::Program for Program {
    const NAME: &'static str = "online-serving";
    const PROGRAM: &'static str = "forebay-online-serving";
    const ABOUT: &'static str = "Serves features as they are";
    type Settings = Settings;

    fn check(settings: &Settings) -> Result<(), Refused> {
        needs::tables(Self::NAME, &settings.cassandra)?;
        needs::stream(Self::NAME, &settings.kafka)?;
        needs::registry(Self::NAME, &settings.registry)
    }

    async fn open(settings: &Settings, process: &Process) -> Result<Service, BackendError> {
        let registry = &settings.registry;
        let (tables, stream) = tokio::try_join!(
            tables(process, &settings.cassandra, registry),
            stream(process, &settings.kafka, registry)
        )?;
        let followed = follow(process, registry, &stream).await?;
        let service = compose(process, settings.online_serving, &followed.catalog, &tables);
        Ok(followed.with(service))
    }
}

/// The service over what a process has opened.
pub fn compose(process: &Process, limits: OnlineServingLimits, catalog: &Arc<Catalog>, tables: &Tables) -> Service {
    service(Deps {
        catalog: catalog.clone(),
        store: tables.online.clone(),
        clock: process.clock.clone(),
        limits,
    })
}
