//! The settings of a process: one struct per section, defaults in code, then a TOML file, then the environment.

mod lake;
mod load;
mod storage;

use forebay_server::{LogsConfig, RuntimesConfig, ServerConfig};
use serde::{Deserialize, Serialize};

pub use lake::LakeConfig;
pub use load::{ConfigError, Origin, load};
pub use storage::StorageConfig;

/// All settings, as `forebay config` prints them.
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
    /// The embedded stores.
    pub storage: StorageConfig,
    /// The Delta tables.
    pub lake: LakeConfig,
}
