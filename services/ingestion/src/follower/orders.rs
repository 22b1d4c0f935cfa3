//! What operators order and what a follower has found, kept in the online store, so that any process can be asked and none forgets.

use forebay_catalog::Group;
use forebay_model::Timestamp;
use forebay_storage::{OnlineStore, Progress, Result, TableVersion, Topic};

use super::{FollowerState, consumer};

/// A rebuild that is ordered, named by its time.
fn ordered(topic: Topic) -> String {
    format!("rebuild/{}.{}", topic.group.0, topic.generation.0)
}

/// The last rebuild that was done.
fn done(topic: Topic) -> String {
    format!("rebuilt/{}.{}", topic.group.0, topic.generation.0)
}

/// The version that stopped the follower.
fn stopped(topic: Topic) -> String {
    format!("stopped/{}.{}", topic.group.0, topic.generation.0)
}

/// For the version of a follower that goes on.
const GOES_ON: i64 = -1;

async fn note(online: &dyn OnlineStore, group: &Group, consumer: String, position: i64) -> Result<()> {
    let progress = Progress { consumer, position };
    online.upsert(&group.schema, Vec::new(), Some(progress)).await
}

/// Orders the online rows of a group to be made anew from its table.
///
/// # Errors
/// When the order could not be kept.
pub(crate) async fn order_rebuild(online: &dyn OnlineStore, group: &Group, now: Timestamp) -> Result<()> {
    let topic = Topic::of(&group.schema);
    // Two orders never have one name, whatever the clocks say.
    let last = online.progress(&ordered(topic)).await?.unwrap_or_default();
    note(online, group, ordered(topic), now.micros().max(last.saturating_add(1))).await?;
    online.flush().await
}

/// A rebuild that is ordered and not done yet.
pub(crate) async fn rebuild_to_do(online: &dyn OnlineStore, topic: Topic) -> Result<Option<i64>> {
    let Some(order) = online.progress(&ordered(topic)).await? else {
        return Ok(None);
    };
    let last = online.progress(&done(topic)).await?;
    Ok((last != Some(order)).then_some(order))
}

/// The rebuild is done.
pub(super) async fn rebuilt(online: &dyn OnlineStore, group: &Group, order: i64) -> Result<()> {
    note(online, group, done(Topic::of(&group.schema)), order).await?;
    online.flush().await
}

/// The follower has stopped at a version, or goes on.
pub(super) async fn note_stopped(online: &dyn OnlineStore, group: &Group, version: Option<TableVersion>) -> Result<()> {
    let position = version.map_or(GOES_ON, |version| i64::try_from(version).unwrap_or(i64::MAX));
    note(online, group, stopped(Topic::of(&group.schema)), position).await
}

/// Where a follower stands that runs in another process.
///
/// # Errors
/// When the store cannot tell.
pub(crate) async fn state(online: &dyn OnlineStore, topic: Topic) -> Result<Option<FollowerState>> {
    let version = |position: Option<i64>| position.and_then(|position| TableVersion::try_from(position).ok());
    if rebuild_to_do(online, topic).await?.is_some() {
        return Ok(Some(FollowerState::Rebuilding { version: None }));
    }
    if let Some(version) = version(online.progress(&stopped(topic)).await?) {
        return Ok(Some(FollowerState::Stopped { version }));
    }
    let at = version(online.progress(&consumer(topic)).await?);
    Ok(at.map(|version| FollowerState::Following { version }))
}
