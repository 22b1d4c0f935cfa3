//! The engine's bounds: memory, disk, parallelism, shared by all queries of a process.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use forebay_telemetry::Metric;

use crate::OfflineTables;

/// What queries may use.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Bytes for all queries together; operators that hold more spill to disk.
    pub memory_bytes: usize,
    /// Where they spill. Made when it is missing; what is in it does not outlive the process.
    pub spill_dir: PathBuf,
    /// Bytes on disk for all queries together.
    pub spill_bytes: u64,
    /// How many threads one query keeps busy.
    pub parallelism: usize,
    /// Rows per batch.
    pub batch_rows: usize,
}

impl EngineConfig {
    /// The defaults, for a folder to spill into.
    #[must_use]
    pub fn new(spill_dir: impl Into<PathBuf>) -> Self {
        Self {
            memory_bytes: 1 << 30,
            spill_dir: spill_dir.into(),
            spill_bytes: 100 << 30,
            parallelism: std::thread::available_parallelism().map_or(2, usize::from),
            batch_rows: 8192,
        }
    }
}

/// Runs queries over offline tables within the bounds of an [`EngineConfig`].
#[derive(Clone)]
pub struct Engine {
    tables: Arc<dyn OfflineTables>,
    runtime: Arc<RuntimeEnv>,
    config: EngineConfig,
}

/// How many of the largest holders of memory an out-of-memory error names.
const NAMED_CONSUMERS: std::num::NonZeroUsize = match std::num::NonZeroUsize::new(5) {
    Some(count) => count,
    None => std::num::NonZeroUsize::MIN,
};

/// The metrics of an engine.
pub const METRICS: &[Metric] = &[
    Metric::gauge("forebay_engine_memory_bytes", &[], "Memory that running queries hold"),
    Metric::gauge(
        "forebay_engine_memory_limit_bytes",
        &[],
        "How much they may: `engine.memory_bytes`; beyond it they spill to disk",
    ),
    Metric::gauge(
        "forebay_engine_spill_bytes",
        &[],
        "Disk that running queries have spilled to",
    ),
    Metric::gauge(
        "forebay_engine_spill_limit_bytes",
        &[],
        "How much they may: `engine.spill_bytes`; a query beyond it fails",
    ),
];

/// The catalog and the schema of names without a schema. No domain can be called so: names begin with a letter.
const CATALOG: &str = "forebay";
pub(crate) const BARE_NAMES: &str = "_";

impl Engine {
    /// # Errors
    /// When the spill folder cannot be made.
    pub fn new(config: EngineConfig, tables: Arc<dyn OfflineTables>) -> Result<Self> {
        std::fs::create_dir_all(&config.spill_dir)?;
        let pool = TrackConsumersPool::new(FairSpillPool::new(config.memory_bytes), NAMED_CONSUMERS);
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![config.spill_dir.clone()]))
            .with_max_temp_directory_size(config.spill_bytes);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(disk)
            .build_arc()?;
        for (url, store) in tables.object_stores() {
            runtime.register_object_store(url.as_ref(), store);
        }
        Ok(Self {
            tables,
            runtime,
            config,
        })
    }

    #[must_use]
    pub fn tables(&self) -> &Arc<dyn OfflineTables> {
        &self.tables
    }

    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Bytes that running queries hold.
    #[must_use]
    pub fn reserved_bytes(&self) -> usize {
        self.runtime.memory_pool.reserved()
    }

    /// Tells the gauges: what queries hold of the bounds that they share.
    pub fn measure(&self) {
        for (name, value) in [
            ("forebay_engine_memory_bytes", self.reserved_bytes() as f64),
            ("forebay_engine_memory_limit_bytes", self.config.memory_bytes as f64),
            (
                "forebay_engine_spill_bytes",
                self.runtime.disk_manager.used_disk_space() as f64,
            ),
            ("forebay_engine_spill_limit_bytes", self.config.spill_bytes as f64),
        ] {
            metrics::gauge!(name).set(value);
        }
    }

    /// A session of its own for one query; all sessions share the bounds.
    pub(crate) fn session(&self) -> SessionContext {
        SessionContext::new_with_state(self.state(self.config.parallelism))
    }

    /// A session whose plans keep the order of what they read.
    pub(crate) fn ordered_state(&self) -> SessionState {
        self.state(1)
    }

    fn state(&self, parallelism: usize) -> SessionState {
        SessionStateBuilder::new()
            .with_config(self.session_config(parallelism))
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
            .build()
    }

    fn session_config(&self, parallelism: usize) -> SessionConfig {
        // The options under which definitions are checked, so that a query means the same when it runs.
        let mut options: ConfigOptions = forebay_sql::options();
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        // Strings have one Arrow type in all of Forebay.
        options.execution.parquet.schema_force_view_types = false;
        options.sql_parser.map_string_types_to_utf8view = false;
        SessionConfig::from(options)
            .with_target_partitions(parallelism.max(1))
            .with_batch_size(self.config.batch_rows)
            .with_information_schema(false)
            .with_default_catalog_and_schema(CATALOG, BARE_NAMES)
            .with_create_default_catalog_and_schema(true)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
