//! The settings of a process: one struct per section, defaults in code, then a TOML file, then the environment.
//!
//! One file serves all processes. Each has a struct of the sections that it reads ([`Settings`]); [`load`] leaves those of the others alone and refuses what
//! nobody reads.

mod data_dir;
#[cfg(feature = "engine")]
mod engine;
mod intake;
mod load;
mod offline_query;
mod online_serving;
mod own;
mod registry;

use serde::{Serialize, de::DeserializeOwned};

use crate::failure::Failure;

// So that a service that reads a section need not name the backend's crate.
pub use forebay_server::{LogsConfig, RuntimesConfig, ServerConfig, TelemetryConfig};
#[cfg(feature = "cassandra")]
pub use forebay_storage_cassandra::CassandraConfig;
#[cfg(feature = "lake")]
pub use forebay_storage_delta::LakeConfig;
#[cfg(feature = "kafka")]
pub use forebay_stream_kafka::KafkaConfig;

pub use data_dir::DataDir;
#[cfg(feature = "engine")]
pub use engine::EngineSection;
pub use intake::IntakeConfig;
pub use load::{ConfigError, Origin, load};
pub use offline_query::OfflineQueryLimits;
pub use online_serving::OnlineServingLimits;
pub use own::{EMBEDDED, SECTIONS};
pub use registry::RegistryConfig;

/// The sections that one kind of process reads, a field each.
pub trait Settings: Default + Serialize + DeserializeOwned {
    /// Those of every process.
    fn common(&self) -> Common<'_>;
}

/// The sections that every process reads.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    pub server: &'a ServerConfig,
    pub runtimes: &'a RuntimesConfig,
    pub logs: &'a LogsConfig,
    pub telemetry: &'a TelemetryConfig,
    pub registry: &'a RegistryConfig,
}

/// Prints the effective settings as a file that `--config` takes. Credentials are masked.
///
/// # Errors
/// When a setting cannot be written as TOML.
pub fn print(settings: &impl Settings) -> Result<(), Failure> {
    let text = toml::to_string(settings).map_err(|error| Failure::Usage(error.to_string()))?;
    print!("{text}");
    Ok(())
}
