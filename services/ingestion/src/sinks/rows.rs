//! The sinks of one topic, from their start to their end.

use tokio_util::sync::CancellationToken;

use super::{offline::OfflineSink, online::OnlineSink, start::start};
use crate::background::{Backoff, Context};

/// Why a sink came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was told to stop, or its group is gone.
    Stopped,
    /// Somebody else works on the same table: begin again from the table's positions.
    Overtaken,
}

/// Runs the sinks until they are told to stop or the group is gone. Whatever fails is tried again.
pub(crate) async fn run(context: Context, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let Some(group) = context.group() else {
            return;
        };
        let (online, offline) = (group.is_online(), group.has_history());
        let start = match start(&context.state, &group.schema, online, offline).await {
            Ok(start) => start,
            Err(error) => {
                tracing::warn!(group = %group.name, %error, "the sinks cannot start yet");
                backoff.wait(&stop).await;
                continue;
            }
        };
        let both = stop.child_token();
        let online_sink = start.online.map(|(positions, taken)| {
            let sink = OnlineSink::new(
                context.clone(),
                positions,
                taken,
                start.boundaries.clone(),
                offline,
                both.clone(),
            );
            tokio::spawn(sink.run())
        });
        let offline_sink = start.offline.map(|(positions, taken)| {
            let sink = OfflineSink::new(
                context.clone(),
                positions,
                taken,
                start.boundaries.clone(),
                both.clone(),
            );
            let both = both.clone();
            tokio::spawn(async move {
                let end = sink.run().await;
                // Both begin anew, or both end.
                both.cancel();
                end
            })
        });
        let mut end = End::Stopped;
        for sink in online_sink.into_iter().chain(offline_sink) {
            match sink.await {
                Ok(End::Overtaken) => end = End::Overtaken,
                Ok(_) => {}
                Err(panic) => {
                    tracing::error!(group = %group.name, %panic, "a sink broke down and is started again");
                    both.cancel();
                    end = End::Overtaken;
                }
            }
        }
        if end == End::Stopped {
            return;
        }
        backoff.wait(&stop).await;
    }
}
