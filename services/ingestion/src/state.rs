use std::{collections::HashSet, sync::Arc};

use forebay_catalog::Catalog;
use forebay_model::Clock;
use forebay_progress::{Positions, SettledTimes, Signals};
use forebay_storage::{Announcements, ClaimKey, ClaimStore, Leases, OfflineStore, OnlineStore, RejectedLog, RowLog};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{
    InFlight, IntakeConfig, Replay, SinksConfig,
    follower::Followed,
    intake::Budget,
    measures::{METRICS, Measures},
    same_log::SameLogs,
    sinks::Remembered,
};

/// What ingestion works with.
#[derive(Clone)]
pub struct Deps {
    pub catalog: Arc<Catalog>,
    pub row_log: Arc<dyn RowLog>,
    pub online: Arc<dyn OnlineStore>,
    pub offline: Arc<dyn OfflineStore>,
    pub claims: Arc<dyn ClaimStore>,
    pub leases: Arc<dyn Leases>,
    /// How processes tell each other how far sinks have come.
    pub announcements: Arc<dyn Announcements>,
    /// Where sinks set aside what is no row of its group.
    pub rejected: Arc<dyn RejectedLog>,
    /// This process; another id after each start.
    pub process: Uuid,
    pub clock: Arc<dyn Clock>,
    pub intake: IntakeConfig,
    pub sinks: SinksConfig,
}

/// What the endpoints and the sinks share.
pub struct State {
    pub deps: Deps,
    /// What processes tell each other.
    pub signals: Arc<Signals>,
    /// How far the sinks have come, those of other processes too.
    pub positions: Arc<Positions>,
    /// The ingest times of rows that are not in the log yet.
    pub in_flight: Arc<InFlight>,
    /// Up to when each group's rows are all offline.
    pub settled: Arc<SettledTimes>,
    /// Where the followers stand.
    pub followed: Arc<Followed>,
    /// Whether what was acknowledged before the start is online.
    pub replay: Arc<Replay>,
    pub(crate) same_logs: SameLogs,
    pub(crate) budget: Budget,
    pub(crate) measures: Arc<Measures>,
    /// What the sinks remember of requests with a key.
    pub(crate) remembered: Arc<Remembered>,
    /// Idempotency keys whose requests are being worked on by this process.
    pub(crate) keys_in_use: Mutex<HashSet<ClaimKey>>,
}

impl State {
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        forebay_telemetry::describe(METRICS);
        let signals = Signals::new(
            deps.announcements.clone(),
            deps.catalog.clone(),
            deps.clock.clone(),
            deps.process,
        );
        let signals = Arc::new(signals.working());
        Self {
            positions: signals.positions().clone(),
            settled: signals.settled().clone(),
            signals,
            followed: Arc::default(),
            replay: Arc::default(),
            same_logs: SameLogs::default(),
            in_flight: Arc::new(InFlight::new(deps.clock.clone())),
            budget: Budget::new(deps.intake.memory_bytes),
            measures: Arc::default(),
            remembered: Arc::new(Remembered::new(deps.sinks.remembered_bytes)),
            keys_in_use: Mutex::default(),
            deps,
        }
    }
}

pub type AppState = Arc<State>;
