use forebay_model::Timestamp;
use forebay_storage::Topic;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Store;

/// What one process tells the others, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The process; another one after each start.
    pub from: Uuid,
    /// Whether it takes part in the work on tables.
    #[serde(default)]
    pub works: bool,
    /// It is about to end.
    #[serde(default)]
    pub leaves: bool,
    /// Its clock when it said this.
    pub clock: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Reached>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<(Topic, Timestamp)>,
    /// Topics whose rows somebody waits for in the offline store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flush_wanted: Vec<Topic>,
}

/// How far a store holds a topic's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    pub topic: Topic,
    pub store: Store,
    /// Partition and the offset below which readers of the store see all rows.
    pub partitions: Vec<(u32, u64)>,
}
