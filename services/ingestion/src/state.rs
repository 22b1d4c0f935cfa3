use std::{collections::HashSet, sync::Arc};

use forebay_catalog::Catalog;
use forebay_model::Clock;
use forebay_storage::{ClaimKey, ClaimStore, Leases, OfflineStore, OnlineStore, RowLog};
use parking_lot::Mutex;

use crate::{InFlight, IntakeConfig, Positions, Replay, SettledTimes, SinksConfig, follower::Followed, intake::Budget};

/// What ingestion works with.
#[derive(Clone)]
pub struct Deps {
    pub catalog: Arc<Catalog>,
    pub row_log: Arc<dyn RowLog>,
    pub online: Arc<dyn OnlineStore>,
    pub offline: Arc<dyn OfflineStore>,
    pub claims: Arc<dyn ClaimStore>,
    pub leases: Arc<dyn Leases>,
    pub clock: Arc<dyn Clock>,
    pub intake: IntakeConfig,
    pub sinks: SinksConfig,
}

/// What the endpoints and the sinks share.
pub struct State {
    pub deps: Deps,
    /// How far the sinks have come.
    pub positions: Arc<Positions>,
    /// The ingest times of rows that are not in the log yet.
    pub in_flight: Arc<InFlight>,
    /// Up to when each group's rows are all offline.
    pub settled: Arc<SettledTimes>,
    /// Where the followers stand.
    pub followed: Arc<Followed>,
    /// Whether what was acknowledged before the start is online.
    pub replay: Arc<Replay>,
    pub(crate) budget: Budget,
    /// Idempotency keys whose requests are being worked on by this process.
    pub(crate) keys_in_use: Mutex<HashSet<ClaimKey>>,
}

impl State {
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        let positions = Arc::new(Positions::default());
        let settled = SettledTimes::new(deps.catalog.clone(), deps.clock.clone(), positions.clone());
        Self {
            settled: Arc::new(settled),
            followed: Arc::default(),
            replay: Arc::default(),
            positions,
            in_flight: Arc::new(InFlight::new(deps.clock.clone())),
            budget: Budget::new(deps.intake.memory_bytes),
            keys_in_use: Mutex::default(),
            deps,
        }
    }
}

pub type AppState = Arc<State>;
