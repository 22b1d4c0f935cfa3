//! Removing online rows that are older than twice their group's ttl, slowly.

use std::time::Duration;

use forebay_storage::Result;
use metrics::counter;
use tokio_util::sync::CancellationToken;

use crate::{background::Backoff, tables::Context};

/// Rest after each step.
const REST: Duration = Duration::from_millis(20);

/// Sweeps a group's rows, again and again, until it is told to stop or the group is gone.
pub(crate) async fn sweep(context: Context, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let pause = context.state.deps.sinks.sweep_interval();
    while !stop.is_cancelled() {
        match once(&context, &stop).await {
            Ok(()) => {
                backoff.reset();
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
            Err(error) => {
                tracing::warn!(group = %context.name, %error, "the sweep stopped; it begins again");
                backoff.wait(&stop).await;
            }
        }
        if context.group().is_none() {
            return;
        }
    }
}

/// Goes through the whole table once.
async fn once(context: &Context, stop: &CancellationToken) -> Result<()> {
    let deps = &context.state.deps;
    let mut from = None;
    loop {
        // The ttl may have changed since the last step.
        let Some((group, ttl)) = context.group().and_then(|group| Some((group.clone(), group.ttl?))) else {
            return Ok(());
        };
        let before = deps.clock.now().saturating_sub(ttl).saturating_sub(ttl);
        let swept = deps
            .online
            .sweep(&group.schema, before, from, deps.sinks.sweep_step_rows)
            .await?;
        if swept.removed > 0 {
            counter!("forebay_swept_rows_total", "group" => group.name.to_string()).increment(swept.removed);
        }
        from = swept.next;
        if from.is_none() || stop.is_cancelled() {
            return Ok(());
        }
        tokio::time::sleep(REST).await;
    }
}
