//! Whether a group's topic is the one that the sinks' positions are of. A topic that was deleted and made again under the name of another is none of theirs:
//! they stop, so that rows which were put there would reach no store.
//!
//! The online store remembers which one it is, also of groups that are not kept there: it is asked in a moment, however long ago the last row came.

use std::{collections::HashSet, sync::Arc};

use forebay_model::GroupSchema;
use forebay_storage::{OnlineStore, Progress, Result, StorageError, Topic};
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::Deps;

/// Topics that are looked at beforehand, at once.
const AT_ONCE: usize = 16;

/// What the online store remembers.
pub(crate) enum Noted {
    /// No sink has begun with the group yet.
    Nothing,
    This,
    Another,
}

/// Asks the online store whether a group's positions are of this topic.
///
/// # Errors
/// When it cannot tell.
pub(crate) async fn noted(online: &dyn OnlineStore, topic: Topic, log: Uuid) -> Result<Noted> {
    Ok(match online.progress(&consumer(topic)).await? {
        None => Noted::Nothing,
        Some(known) if known == number(log) => Noted::This,
        Some(_) => Noted::Another,
    })
}

/// Lets the online store remember that the group's positions are of this topic.
///
/// # Errors
/// When it cannot be written.
pub(crate) async fn note(online: &dyn OnlineStore, schema: &Arc<GroupSchema>, log: Uuid) -> Result<()> {
    let progress = Progress {
        consumer: consumer(Topic::of(schema)),
        position: number(log),
    };
    online.upsert(schema, Vec::new(), Some(progress)).await
}

fn consumer(topic: Topic) -> String {
    format!("log/{}.{}", topic.group.0, topic.generation.0)
}

fn number(log: Uuid) -> i64 {
    i64::try_from(log.as_u128() & u128::from(i64::MAX.cast_unsigned())).unwrap_or_default()
}

/// Topics of which this process knows that rows may be put there. The row log tells by itself when one of them is deleted later.
pub(crate) struct SameLogs {
    known: RwLock<HashSet<Topic>>,
    turns: Semaphore,
}

impl Default for SameLogs {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

impl SameLogs {
    /// # Errors
    /// [`StorageError::Gone`] when the topic is another one, and when that cannot be told.
    pub(crate) async fn check(&self, deps: &Deps, schema: &Arc<GroupSchema>) -> Result<()> {
        let topic = Topic::of(schema);
        if self.known.read().contains(&topic) {
            return Ok(());
        }
        if let Some(log) = deps.row_log.identity(schema).await?
            && let Noted::Another = noted(&*deps.online, topic, log).await?
        {
            return Err(StorageError::Gone {
                what: "row log",
                detail: "the topic whose rows the stores hold (it was deleted and made again; restore it, or remove the group with ?purge=true and register it anew)".to_owned(),
            });
        }
        self.known.write().insert(topic);
        Ok(())
    }

    /// Checks a topic before there are rows for it, so that they need not wait, and come in while the online store is down.
    pub(crate) async fn learn(&self, deps: &Deps, schema: &Arc<GroupSchema>) {
        let Ok(_turn) = self.turns.acquire().await else { return };
        if let Err(error) = self.check(deps, schema).await {
            tracing::warn!(group = %schema.name, %error, "rows of a group are not taken in yet");
        }
    }
}
