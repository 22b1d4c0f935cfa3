//! Keeps this registry's catalog current with what other registries publish.

use std::{sync::Arc, time::Duration};

use forebay_catalog::Announced;
use forebay_storage::{Channel, Heard};
use futures::StreamExt;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::registry::Registry;

/// How often the head is read although nothing was announced.
const POLL: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);

/// Follows the channel of registry changes, and the head beside it, until told to stop.
pub async fn follow(registry: Arc<Registry>, stop: CancellationToken) {
    let following = async {
        loop {
            tokio::join!(hear(&registry), sleep(RETRY));
        }
    };
    let polling = async {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            look(&registry).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = following => {}
        () = polling => {}
    }
}

/// Takes in what is announced until the channel ends.
async fn hear(registry: &Registry) {
    let mut heard = match registry.deps().announcements.listen(Channel::RegistryChanges).await {
        Ok(heard) => heard,
        Err(error) => {
            tracing::warn!(%error, "registry changes cannot be listened to; the head is read instead");
            return;
        }
    };
    look(registry).await;
    while let Some(heard) = heard.next().await {
        let Heard::Message(message) = heard else {
            look(registry).await;
            continue;
        };
        match Announced::decode(&message) {
            Ok(announced) => {
                registry.outbox().heard(&announced);
                if registry.catalog().hear(&announced).is_err() {
                    look(registry).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "an announcement is not understood; the head is read instead");
                look(registry).await;
            }
        }
    }
}

/// Reads the head; what cannot be read is read at the next occasion.
async fn look(registry: &Registry) {
    if let Err(error) = registry.refresh().await {
        tracing::debug!(%error, "the head cannot be read");
    }
}
