use std::{sync::Arc, time::Duration};

use forebay_catalog::Catalog;
use forebay_model::Clock;
use forebay_storage::OnlineStore;
use serde::{Deserialize, Serialize};

/// What online-serving works with.
#[derive(Clone)]
pub struct Deps {
    pub catalog: Arc<Catalog>,
    pub store: Arc<dyn OnlineStore>,
    pub clock: Arc<dyn Clock>,
    pub limits: Limits,
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Features in one request.
    pub features: usize,
    /// Entities in one request.
    pub entities: usize,
    /// Values in one answer: features times entities.
    pub values: usize,
    /// Milliseconds that the store has to answer; a group that takes longer has status ERROR.
    pub store_deadline_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            features: 2_000,
            entities: 10_000,
            values: 2_000_000,
            store_deadline_ms: 1_000,
        }
    }
}

impl Limits {
    pub fn store_deadline(&self) -> Duration {
        Duration::from_millis(self.store_deadline_ms)
    }
}

pub type AppState = Arc<Deps>;
