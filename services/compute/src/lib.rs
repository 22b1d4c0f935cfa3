//! Compute: runs of batch groups' queries, level by level, and the scheduler that starts them.
//!
//! A run is planned once ([`planning`]), recorded at every change ([`record`]), driven by the [`runner`] of one process, and each of its tasks is
//! one [`execution`]: the query goes through the [`engine`], its answer is made to fit the group ([`conform`]) and written
//! ([`writer`]). The [`scheduler`] finds out what is due from the clock and from what was added to the tables ([`changes`]).

mod changes;
mod conform;
mod endpoints;
mod engine;
mod execution;
mod failure;
mod marks;
mod measures;
mod planning;
pub mod program;
mod reads;
mod record;
mod runner;
mod scheduler;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_model::{Clock, Duration};
use forebay_server::{RouteLimits, Service};
use forebay_storage::{ClaimStore, Leases, OfflineStore, RowLog, RunStore, SourceTables};
use serde::{Deserialize, Serialize};

pub use engine::{BatchEngine, Computed, Conform, Target};
pub use measures::METRICS;
pub use program::Program;

use crate::{changes::ChangeLog, marks::Marks, runner::Runner, scheduler::Scheduler};

const ABOUT: &str = "Batch computation: runs of feature groups' queries, and the schedule.";

/// What compute stands on.
#[derive(Clone)]
pub struct Deps {
    pub catalog: Arc<Catalog>,
    pub engine: Arc<dyn BatchEngine>,
    pub offline: Arc<dyn OfflineStore>,
    pub sources: Arc<dyn SourceTables>,
    pub runs: Arc<dyn RunStore>,
    pub claims: Arc<dyn ClaimStore>,
    pub row_log: Arc<dyn RowLog>,
    /// Which process drives which run, computes which group, and is the scheduler.
    pub leases: Arc<dyn Leases>,
    pub clock: Arc<dyn Clock>,
    pub config: ComputeConfig,
}

/// Bounds of compute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComputeConfig {
    /// Tasks that run at once in a process, of all runs together.
    pub parallel_tasks: usize,
    /// Runs that a process drives at once; more wait in their order.
    pub parallel_runs: usize,
    /// Runs that wait; one more is refused.
    pub queued_runs: usize,
    /// How often a task is tried when its stores do not answer.
    pub attempts: u32,
    /// The pause before the second attempt; each one after is twice as long, to a minute.
    pub backoff: Duration,
    /// Whether groups are computed without being asked: by their triggers.
    pub scheduler: bool,
    /// How often the scheduler looks; for runs that nobody drives, every process at least once a second.
    pub poll: Duration,
    /// How long finished runs are kept.
    pub keep_runs: Duration,
}

impl Default for ComputeConfig {
    fn default() -> Self {
        Self {
            parallel_tasks: 4,
            parallel_runs: 8,
            queued_runs: 256,
            attempts: 4,
            backoff: Duration::from_micros(1_000_000),
            scheduler: true,
            poll: Duration::from_micros(1_000_000),
            keep_runs: Duration::from_micros(90 * 86_400_000_000),
        }
    }
}

/// What executes tasks.
struct Compute {
    catalog: Arc<Catalog>,
    engine: Arc<dyn BatchEngine>,
    offline: Arc<dyn OfflineStore>,
    sources: Arc<dyn SourceTables>,
    row_log: Arc<dyn RowLog>,
    clock: Arc<dyn Clock>,
    marks: Marks,
    changes: ChangeLog,
    /// One task per group at a time, in all processes together.
    leases: Arc<dyn Leases>,
}

/// What handlers share.
struct State {
    catalog: Arc<Catalog>,
    claims: Arc<dyn ClaimStore>,
    runner: Arc<Runner>,
    scheduler: Arc<Scheduler>,
    clock: Arc<dyn Clock>,
}

type AppState = Arc<State>;

/// The service: its routes, the task that drives runs, and the scheduler. Runs that another process left unfinished go on. Any number of processes
/// share the stores and leases.
pub fn service(deps: Deps) -> Service {
    let Deps {
        catalog,
        engine,
        offline,
        sources,
        runs,
        claims,
        row_log,
        leases,
        clock,
        config,
    } = deps;
    let compute = Arc::new(Compute {
        catalog: Arc::clone(&catalog),
        engine,
        offline: Arc::clone(&offline),
        sources: Arc::clone(&sources),
        row_log,
        clock: Arc::clone(&clock),
        marks: Marks(Arc::clone(&runs)),
        changes: ChangeLog::new(offline, sources),
        leases: Arc::clone(&leases),
    });
    forebay_telemetry::describe(measures::METRICS);
    let runner = Runner::new(Arc::clone(&compute), runs, leases, config.clone());
    let scheduler = Arc::new(Scheduler::new(compute, Arc::clone(&runner), config.clone()));
    let state = Arc::new(State {
        catalog,
        claims,
        runner: Arc::clone(&runner),
        scheduler: Arc::clone(&scheduler),
        clock,
    });
    // The events of a run come as long as it takes.
    let streams = RouteLimits {
        max_requests: Some(256),
        ..RouteLimits::default()
    };
    let (measured, scheduling) = (Arc::clone(&runner), Arc::clone(&scheduler));
    let service = Service::new("compute", ABOUT, endpoints::routes(), state)
        .measured(move || {
            measured.measure();
            scheduling.measure();
        })
        .route_limits("/v1/runs/{id}/events", streams)
        .task("runs", move |stop| runner.drive(stop));
    match config.scheduler {
        true => service.task("scheduler", move |stop| scheduler.watch(stop)),
        false => service,
    }
}

/// The service's OpenAPI document.
pub fn openapi() -> serde_json::Value {
    forebay_server::document("compute", ABOUT, endpoints::routes().into_openapi())
}
