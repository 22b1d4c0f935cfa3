//! `[storage]`: the embedded stores.

use std::path::PathBuf;
use std::time::Duration;

use forebay_storage_embedded::{OnlineOptions, Options, RowLogOptions};
use serde::{Deserialize, Serialize};

/// Where the process keeps what it knows, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// The folder of the online rows, the registry, the row log and the run states; made if it does not exist.
    pub data_dir: PathBuf,
    /// Bytes of memory for online rows that are not merged into the store yet; upserts wait at the bound.
    pub overlay_bytes: usize,
    /// Bytes of such rows that are merged at once.
    pub merge_bytes: usize,
    /// Milliseconds after which such rows are merged at the latest; a restart replays about so much.
    pub merge_interval_ms: u64,
    /// Bytes that the online store can ever hold; only what is used takes space.
    pub map_bytes: usize,
    /// Bytes of a segment of the row log, which is dropped as a whole once all sinks have it.
    pub segment_bytes: u64,
    /// Bytes of the row log on disk; at the bound ingestion answers 429 until the sinks have caught up.
    pub log_bytes: u64,
    /// Bytes of one group's rows that may wait in memory to be written to the row log.
    pub pending_bytes: usize,
}

impl Default for StorageConfig {
    fn default() -> Self {
        let OnlineOptions {
            overlay_bytes,
            merge_bytes,
            merge_interval,
            map_bytes,
            ..
        } = OnlineOptions::default();
        let RowLogOptions {
            segment_bytes,
            max_bytes,
            pending_bytes,
        } = RowLogOptions::default();
        StorageConfig {
            data_dir: PathBuf::from("forebay-data"),
            overlay_bytes,
            merge_bytes,
            merge_interval_ms: u64::try_from(merge_interval.as_millis()).unwrap_or(u64::MAX),
            map_bytes,
            segment_bytes,
            log_bytes: max_bytes,
            pending_bytes,
        }
    }
}

impl StorageConfig {
    /// The stores' own options.
    pub fn to_options(&self) -> Options {
        Options {
            online: OnlineOptions {
                overlay_bytes: self.overlay_bytes,
                merge_bytes: self.merge_bytes,
                merge_interval: Duration::from_millis(self.merge_interval_ms),
                map_bytes: self.map_bytes,
                ..OnlineOptions::default()
            },
            row_log: RowLogOptions {
                segment_bytes: self.segment_bytes,
                max_bytes: self.log_bytes,
                pending_bytes: self.pending_bytes,
            },
        }
    }
}
