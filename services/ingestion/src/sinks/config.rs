use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the sinks, the follower and housekeeping work. Times in milliseconds, sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinksConfig {
    /// Rows that a sink takes from the log at once.
    pub fetch_bytes: usize,
    /// The offline sink of a group commits when it holds so many bytes of rows, ...
    pub flush_bytes: usize,
    /// ... or when the oldest of them has waited so long, ...
    pub flush_interval_ms: u64,
    /// ... or when somebody waits for them, but then not more often than this.
    pub early_flush_interval_ms: u64,
    /// Groups whose rows are written offline at the same time.
    pub concurrent_flushes: usize,
    /// Memory of identities of requests by which their repetitions are known, all sinks of the process together. When it is full the oldest are forgotten, and
    /// looked up when one of them is repeated nevertheless.
    pub remembered_bytes: usize,
    /// How often the follower looks for new commits of a group.
    pub follow_interval_ms: u64,
    /// How often a group's table is looked at for compaction and checkpoints.
    pub upkeep_interval_ms: u64,
    /// Small files from which on they are merged.
    pub compaction_min_files: usize,
    /// Size of a merged file.
    pub compaction_target_bytes: u64,
    /// Memory of a compaction; what does not fit is spilled.
    pub compaction_memory_bytes: usize,
    /// Versions after which a checkpoint is written.
    pub checkpoint_every: u64,
    /// Hours that log entries are kept.
    pub log_retention_hours: u64,
    /// Hours that files which no version needs are kept, at least one.
    pub file_retention_hours: u64,
    /// Whether the sinks go on after rows that the log has dropped before they were brought in, instead of stopping.
    pub skip_lost_rows: bool,
    /// How often the online store is swept of rows older than twice their group's ttl.
    pub sweep_interval_ms: u64,
    /// Rows looked at by one step of a sweep; between steps it rests.
    pub sweep_step_rows: usize,
}

impl Default for SinksConfig {
    fn default() -> Self {
        Self {
            fetch_bytes: 4 << 20,
            flush_bytes: 32 << 20,
            flush_interval_ms: 10_000,
            early_flush_interval_ms: 200,
            concurrent_flushes: 2,
            remembered_bytes: 256 << 20,
            follow_interval_ms: 250,
            upkeep_interval_ms: 30_000,
            compaction_min_files: 16,
            compaction_target_bytes: 128 << 20,
            compaction_memory_bytes: 256 << 20,
            checkpoint_every: 50,
            log_retention_hours: 30 * 24,
            file_retention_hours: 7 * 24,
            skip_lost_rows: false,
            sweep_interval_ms: 3_600_000,
            sweep_step_rows: 1_000,
        }
    }
}

impl SinksConfig {
    pub(crate) fn flush_interval(&self) -> Duration {
        Duration::from_millis(self.flush_interval_ms)
    }

    pub(crate) fn early_flush_interval(&self) -> Duration {
        Duration::from_millis(self.early_flush_interval_ms)
    }

    pub(crate) fn follow_interval(&self) -> Duration {
        Duration::from_millis(self.follow_interval_ms.max(10))
    }

    pub(crate) fn upkeep_interval(&self) -> Duration {
        Duration::from_millis(self.upkeep_interval_ms.max(10))
    }

    pub(crate) fn sweep_interval(&self) -> Duration {
        Duration::from_millis(self.sweep_interval_ms.max(10))
    }
}
