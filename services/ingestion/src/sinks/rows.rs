//! The sinks of one topic, from their start to their end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    newer::learn,
    offline::OfflineSink,
    online::OnlineSink,
    start::{StartError, start},
};
use crate::{Store, background::Backoff, measures::newest_event_time, tables::Context};

/// How often it is looked whether somebody has mended what stopped the sinks.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Why a sink came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was told to stop, or its group is gone.
    Stopped,
    /// Somebody else works on the same table, or the log is another: begin again from the positions of the stores.
    Overtaken,
}

/// Runs the sinks until they are told to stop or the group is gone. Whatever fails is tried again.
pub(crate) async fn run(context: Context, stop: CancellationToken) {
    context.state.positions.hold(context.topic, true);
    sinks(&context, &stop).await;
    context.state.positions.hold(context.topic, false);
}

async fn sinks(context: &Context, stop: &CancellationToken) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let Some(group) = context.group() else {
            return;
        };
        let (online, offline) = (group.is_online(), group.has_history());
        let start = match start(&context.state, &group.schema, online, offline).await {
            Ok(start) => start,
            Err(StartError::Storage(error)) => {
                if !learn(context, &error).await {
                    tracing::warn!(group = %group.name, %error, "the sinks cannot start yet");
                    backoff.wait(stop).await;
                }
                continue;
            }
            Err(error) => {
                tracing::error!(group = %group.name, %error, "nothing more is brought in for this group until somebody acts");
                let kept = [(online, Store::Online), (offline, Store::Offline)];
                let stores = kept.into_iter().filter(|(kept, _)| *kept);
                // They are told as long as they are held: until it is looked again.
                let _told: Vec<_> = stores
                    .map(|(_, store)| {
                        let measures = context.state.measures.sink(&group.name, store);
                        measures.stopped();
                        measures
                    })
                    .collect();
                // What is online stays as it is; the process is as ready as it can be.
                context.state.replay.done(context.topic);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                }
                continue;
            }
        };
        let newest = newest_event_time(&*context.state.deps.offline, &group).await;
        let both = stop.child_token();
        let online_sink = start.online.map(|partitions| {
            let sink = OnlineSink::new(
                context.clone(),
                start.ends.clone(),
                start.boundaries.clone(),
                offline,
                start.log.is_none(),
                newest,
                both.clone(),
            );
            let both = both.clone();
            tokio::spawn(async move {
                let end = sink.run(partitions).await;
                both.cancel();
                end
            })
        });
        let offline_sink = start.offline.map(|partitions| {
            let sink = OfflineSink::new(
                context.clone(),
                partitions,
                start.log,
                start.boundaries.clone(),
                newest,
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
        backoff.wait(stop).await;
    }
}
