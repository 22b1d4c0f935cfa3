//! `[engine]`: what runs and historical queries may use.

use std::path::Path;

use forebay_query::EngineConfig;
use serde::{Deserialize, Serialize};

/// Bounds of all queries of the process together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSection {
    /// Bytes of memory for all queries together; those that need more spill to disk.
    pub memory_bytes: usize,
    /// Bytes on disk for what is spilled, in the data directory.
    pub spill_bytes: u64,
    /// How many threads one query keeps busy; 0 means all cores.
    pub parallelism: usize,
    /// Rows per batch.
    pub batch_rows: usize,
}

impl Default for EngineSection {
    fn default() -> Self {
        let engine = EngineConfig::new("");
        let EngineConfig {
            memory_bytes,
            spill_bytes,
            batch_rows,
            ..
        } = engine;
        EngineSection {
            memory_bytes,
            spill_bytes,
            parallelism: 0,
            batch_rows,
        }
    }
}

impl EngineSection {
    /// The engine's own configuration, spilling into a folder.
    pub fn to_engine(&self, spill_dir: &Path) -> EngineConfig {
        let mut engine = EngineConfig::new(spill_dir);
        engine.memory_bytes = self.memory_bytes;
        engine.spill_bytes = self.spill_bytes;
        engine.batch_rows = self.batch_rows;
        if self.parallelism > 0 {
            engine.parallelism = self.parallelism;
        }
        engine
    }
}
