//! The follower: commits to a group's table go online, each version once and in order.

mod admissible;
mod followed;
pub(crate) mod orders;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_catalog::Group;

use forebay_rows::Layouts;
use forebay_storage::{ChangeKind, Changes, Progress, Result, RowsOut, StorageError, TableVersion, Topic};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use self::admissible::admissible;
pub use self::followed::{Followed, FollowerState};
use crate::{
    background::Backoff,
    measures::{FollowerMeasures, newest_event_time},
    tables::Context,
};

/// Versions looked at in one go.
const VERSIONS: usize = 64;
/// How often it is looked for orders that came to another process.
const ORDERS: Duration = Duration::from_secs(2);

/// The input of the follower, as the online store remembers it.
#[must_use]
pub fn consumer(topic: Topic) -> String {
    format!("commits/{}.{}", topic.group.0, topic.generation.0)
}

/// What came of bringing rows online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brought {
    All,
    /// A file or log entry is gone.
    Gone,
    /// It was told to stop before the end.
    Stopped,
}

struct Follower {
    context: Context,
    measures: Arc<FollowerMeasures>,
    stop: CancellationToken,
    /// The version that is online, with all before it, once that is known; the store makes it durable in its own time.
    version: Option<TableVersion>,
    /// The rebuild under way was ordered by this.
    order: Option<i64>,
    orders_at: Option<Instant>,
}

/// Follows until it is told to stop or the group is gone. Whatever fails is tried again.
pub(crate) async fn run(context: Context, stop: CancellationToken) {
    let mut follower = Follower {
        measures: context.state.measures.follower(&context.name),
        context,
        stop,
        version: None,
        order: None,
        orders_at: None,
    };
    if let Some(group) = follower.context.group()
        && let Some(newest) = newest_event_time(&*follower.context.state.deps.offline, &group).await
    {
        follower.measures.sink.saw(newest);
    }
    let asked = follower.context.state.followed.asked(follower.context.topic);
    let pause = follower.context.state.deps.sinks.follow_interval();
    let mut backoff = Backoff::default();
    while !follower.stop.is_cancelled() {
        let Some(group) = follower.context.group() else {
            return;
        };
        match follower.step(&group).await {
            Ok(true) => backoff.reset(),
            Ok(false) => {
                backoff.reset();
                tokio::select! {
                    () = follower.stop.cancelled() => {}
                    () = asked.notified() => follower.orders_at = None,
                    () = tokio::time::sleep(pause) => {}
                }
            }
            Err(error) => {
                follower.measures.sink.failed();
                tracing::warn!(group = %group.name, %error, "commits cannot be brought online; it is tried again");
                backoff.wait(&follower.stop).await;
            }
        }
    }
    let context = &follower.context;
    context.state.followed.forget(context.topic);
    if context.lost.is_cancelled() {
        return;
    }
    if let Err(error) = context.state.deps.online.flush().await {
        tracing::warn!(%error, "the online store could not be flushed; commits are followed again after the next start");
    }
}

impl Follower {
    /// Brings the next versions online; tells whether there may be more at once.
    async fn step(&mut self, group: &Arc<Group>) -> Result<bool> {
        let state = self.context.state.clone();
        let deps = &state.deps;
        if self.orders_at.is_none_or(|at| at.elapsed() > ORDERS) {
            let order = orders::rebuild_to_do(&*deps.online, self.context.topic).await?;
            self.orders_at = Some(Instant::now());
            if order.is_some() && order != self.order {
                tracing::info!(group = %group.name, "the online rows are made anew from the table, as an operator asked");
                self.order = order;
                self.version = None;
                self.stands(group, FollowerState::Rebuilding { version: None });
                deps.online.clear(&group.schema, &consumer(self.context.topic)).await?;
                orders::note_stopped(&*deps.online, group, None).await?;
                return self.rebuild(group).await;
            }
        }
        if self.version.is_none() {
            let durable = deps.online.progress(&consumer(self.context.topic)).await?;
            self.version = durable.and_then(|version| TableVersion::try_from(version).ok());
        }
        let Some(version) = self.version else {
            return self.rebuild(group).await;
        };
        match deps.offline.changes(&group.schema, Some(version), VERSIONS).await? {
            Changes::Listed(changes) if changes.is_empty() => {
                self.stands(group, FollowerState::Following { version });
                state.replay.done(self.context.topic);
                self.measures.is_behind(0);
                Ok(false)
            }
            Changes::Gone { newest } => {
                tracing::warn!(group = %group.name, version, newest, "log entries of the table are gone; all of its rows are brought online");
                self.rebuild(group).await
            }
            Changes::Listed(changes) => {
                let versions = changes.len();
                for (index, change) in changes.into_iter().enumerate() {
                    self.measures.is_behind(versions - index);
                    match change.kind {
                        ChangeKind::AddsRows => {}
                        ChangeKind::RewritesFiles | ChangeKind::Metadata => {
                            self.progress(group, change.version).await?;
                            continue;
                        }
                        ChangeKind::RemovesRows => {
                            self.removed(group, change.version).await?;
                            return Ok(false);
                        }
                    }
                    let brought = match deps.offline.added_rows(&group.schema, change.version).await? {
                        Some(rows) => self.bring(group, rows).await?,
                        None => Brought::Gone,
                    };
                    match brought {
                        Brought::All => self.progress(group, change.version).await?,
                        Brought::Stopped => return Ok(false),
                        Brought::Gone => {
                            let version = change.version;
                            tracing::warn!(group = %group.name, version, "files of a commit are gone; all rows of the table are brought online");
                            return self.rebuild(group).await;
                        }
                    }
                }
                Ok(true)
            }
        }
    }

    /// Brings all rows of the newest version online, then goes on from there. The store keeps the winning ones, so what it has stays right meanwhile.
    async fn rebuild(&mut self, group: &Arc<Group>) -> Result<bool> {
        self.stands(group, FollowerState::Rebuilding { version: None });
        let (version, rows) = self.context.state.deps.offline.rows(&group.schema, None).await?;
        self.stands(group, FollowerState::Rebuilding { version: Some(version) });
        match self.bring(group, rows).await? {
            Brought::All => {
                self.progress(group, version).await?;
                if let Some(order) = self.order.take() {
                    orders::rebuilt(&*self.context.state.deps.online, group, order).await?;
                }
                self.measures.rebuilds.increment(1);
                Ok(true)
            }
            // A compaction and a vacuum may have come in between: the next version is read then.
            Brought::Gone => Err(StorageError::Gone {
                what: "offline store",
                detail: format!("a file of version {version}"),
            }),
            Brought::Stopped => Ok(false),
        }
    }

    async fn bring(&mut self, group: &Arc<Group>, mut rows: RowsOut) -> Result<Brought> {
        let layouts = Layouts::new(group.schema.clone());
        while let Some(batch) = rows.next().await {
            let batch = match batch {
                Ok(batch) => batch,
                Err(StorageError::Gone { .. }) => return Ok(Brought::Gone),
                Err(error) => return Err(error),
            };
            if self.stop.is_cancelled() {
                return Ok(Brought::Stopped);
            }
            let admitted = admissible(&group.schema, &layouts, &batch)?;
            if admitted.left_out > 0 {
                let rows = admitted.left_out;
                tracing::warn!(group = %group.name, rows, "inadmissible rows of a commit are left out");
                self.measures.inadmissible.increment(rows);
            }
            if let Some(newest) = admitted.newest {
                self.measures.sink.saw(newest);
            }
            let count = admitted.rows.len();
            self.context
                .state
                .deps
                .online
                .upsert(&group.schema, admitted.rows, None)
                .await?;
            self.measures.sink.took(count);
        }
        Ok(Brought::All)
    }

    /// Remembers that all versions up to this one are online.
    async fn progress(&mut self, group: &Arc<Group>, version: TableVersion) -> Result<()> {
        let progress = Progress {
            consumer: consumer(self.context.topic),
            position: i64::try_from(version).unwrap_or(i64::MAX),
        };
        self.context
            .state
            .deps
            .online
            .upsert(&group.schema, Vec::new(), Some(progress))
            .await?;
        self.version = Some(version);
        self.stands(group, FollowerState::Following { version });
        Ok(())
    }

    /// Stops the group, loudly.
    async fn removed(&self, group: &Arc<Group>, version: TableVersion) -> Result<()> {
        let state = FollowerState::Stopped { version };
        if self.context.state.followed.state(self.context.topic) != Some(state.clone()) {
            tracing::error!(
                group = %group.name,
                version,
                "a commit by others removed rows of the table: nothing more is brought online until the group is rebuilt from its table (POST /v1/imports)"
            );
            orders::note_stopped(&*self.context.state.deps.online, group, Some(version)).await?;
        }
        self.stands(group, state);
        // What was there stays; that is all this group shows until somebody acts.
        self.context.state.replay.done(self.context.topic);
        Ok(())
    }

    fn stands(&self, group: &Arc<Group>, state: FollowerState) {
        match &state {
            FollowerState::Following { version } => {
                self.measures.follows(*version);
            }
            FollowerState::Stopped { .. } => self.measures.stopped(),
            FollowerState::Rebuilding { .. } => {}
        }
        self.context.state.followed.set(self.context.topic, &group.name, state);
    }
}
