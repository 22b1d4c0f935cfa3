//! The settings of a process: one struct per section, defaults in code, then a TOML file, then the environment.

mod storage;
#[cfg(test)]
mod tests;

use forebay_networked::settings::{
    CassandraConfig, Common, EngineSection, IntakeConfig, KafkaConfig, LakeConfig, LogsConfig, OfflineQueryLimits,
    OnlineServingLimits, RegistryConfig, RuntimesConfig, ServerConfig, Settings, TelemetryConfig,
};
use serde::{Deserialize, Serialize};

pub use storage::StorageConfig;

/// All settings, as `forebay config` prints them. One file serves all services: each takes the sections it needs.
///
/// In the environment a setting is `FOREBAY_<SECTION>__<SETTING>`, such as `FOREBAY_SERVER__LISTEN`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerConfig,
    /// Threads.
    pub runtimes: RuntimesConfig,
    /// Logs.
    pub logs: LogsConfig,
    /// Traces.
    pub telemetry: TelemetryConfig,
    /// The installation, and where its registry is.
    pub registry: RegistryConfig,
    /// The embedded stores, and the folder of what is this process's alone.
    pub storage: StorageConfig,
    /// Tables in Cassandra or ScyllaDB.
    pub cassandra: CassandraConfig,
    /// The stream in Kafka.
    pub kafka: KafkaConfig,
    /// The Delta tables.
    pub lake: LakeConfig,
    /// Queries of runs and of historical requests.
    pub engine: EngineSection,
    /// Rows from callers.
    pub ingestion: IntakeConfig,
    /// From the row log and from commits into the stores, and the upkeep of tables.
    pub sinks: forebay_ingestion::SinksConfig,
    /// Runs and their scheduler.
    pub compute: forebay_compute::ComputeConfig,
    /// Requests for features as they are.
    pub online_serving: OnlineServingLimits,
    /// Requests for features as they were.
    pub offline_query: OfflineQueryLimits,
}

impl Settings for Config {
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
