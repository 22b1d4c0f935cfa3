//! Compaction, checkpoints, log clean-up and vacuum of a group's table.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_catalog::Group;
use forebay_storage::{Compacted, Compaction, Result, Retention, TableVersion};
use metrics::counter;
use tokio_util::sync::CancellationToken;

use crate::{SinksConfig, background::Backoff, tables::Context};

/// How often a table is tidied at least, while it changes at all.
const TIDY: Duration = Duration::from_secs(3_600);
/// Compactions in a row before other groups have their turn.
const MERGES: usize = 8;

/// Looks after a table until it is told to stop or the group is gone.
pub(crate) async fn upkeep(context: Context, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let mut tidied = Tidied::default();
    let pause = context.state.deps.sinks.upkeep_interval();
    while !stop.is_cancelled() {
        let Some(group) = context.group() else {
            return;
        };
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = look(&context, &group, &mut tidied) => looked,
        };
        match looked {
            Ok(()) => {
                backoff.reset();
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
            Err(error) => {
                tracing::warn!(group = %group.name, %error, "the table cannot be looked after; it is tried again");
                backoff.wait(&stop).await;
            }
        }
    }
}

/// What is remembered of the last time the table was tidied.
#[derive(Default)]
struct Tidied {
    version: Option<TableVersion>,
    at: Option<Instant>,
}

/// Stopping in the middle is safe: files that no commit names stay until vacuum.
async fn look(context: &Context, group: &Arc<Group>, tidied: &mut Tidied) -> Result<()> {
    let deps = &context.state.deps;
    let version = deps.offline.version(&group.schema).await?;
    if tidied.version == Some(version) {
        return Ok(());
    }
    let _turn = context.upkeep_turn().await;
    let policy = compaction(&deps.sinks);
    for _ in 0..MERGES {
        let outcome = deps.offline.compact(&group.schema, &policy).await?;
        let name = match outcome {
            Compacted::Nothing => break,
            Compacted::Merged { .. } => "merged",
            Compacted::Moved => "moved",
        };
        counter!("forebay_compactions_total", "group" => group.name.to_string(), "outcome" => name).increment(1);
        tracing::debug!(group = %group.name, ?outcome, "compacted");
        if context.lost.is_cancelled() {
            return Ok(());
        }
    }
    let many = version.saturating_sub(tidied.version.unwrap_or(0)) >= deps.sinks.checkpoint_every;
    if many || tidied.at.is_none_or(|at| at.elapsed() > TIDY) {
        let done = deps.offline.tidy(&group.schema, &retention(&deps.sinks)).await?;
        tracing::debug!(group = %group.name, ?done, "tidied");
        tidied.at = Some(Instant::now());
        tidied.version = Some(deps.offline.version(&group.schema).await?);
    }
    Ok(())
}

fn compaction(config: &SinksConfig) -> Compaction {
    Compaction {
        min_files: config.compaction_min_files,
        target_bytes: config.compaction_target_bytes,
        memory_bytes: config.compaction_memory_bytes,
    }
}

fn retention(config: &SinksConfig) -> Retention {
    let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3_600));
    Retention {
        checkpoint_every: config.checkpoint_every,
        log: hours(config.log_retention_hours),
        // Younger files may belong to a commit on its way.
        files: hours(config.file_retention_hours.max(1)),
        oldest_pin: None,
    }
}
