//! Where the sinks of a topic take up their work.

use std::sync::Arc;

use forebay_model::{GroupSchema, Timestamp};
use forebay_rows::RowHead;
use forebay_storage::{LoggedRow, NotesOut, OnlineStore, Result, StorageError, Topic};
use futures::TryStreamExt;
use uuid::Uuid;

use super::{
    batches::of_packed,
    boundaries::Boundaries,
    note::noted,
    recall,
    taken::{LASTS, Taken},
};
use crate::{
    Deps, State, Store,
    same_log::{self, Noted},
};

/// Names of the consumers of a topic.
pub(crate) const ONLINE: &str = "online";
pub(crate) const OFFLINE: &str = "offline";
/// The note of a commit that tells which topic its positions are of.
pub(crate) const LOG_NOTE: &str = "log";

/// The input of the online sink, as the online store remembers it.
pub(crate) fn online_consumer(topic: Topic, partition: u32) -> String {
    format!("rows/{}.{}/{partition}", topic.group.0, topic.generation.0)
}

/// Where both sinks begin.
pub(crate) struct Start {
    /// For a log that drops nothing that it was not told to, of a group that is kept in both stores; nobody else asks for them.
    pub(crate) boundaries: Option<Arc<Boundaries>>,
    /// Which topic it is, where one may be deleted and made again.
    pub(crate) log: Option<Uuid>,
    /// Where the log ends, by partition.
    pub(crate) ends: Vec<u64>,
    /// `None`: the group is not kept in that store.
    pub(crate) online: Option<Vec<PartitionStart>>,
    pub(crate) offline: Option<Vec<PartitionStart>>,
}

/// Where a sink begins in one partition.
pub(crate) struct PartitionStart {
    /// Where the store stands.
    pub(crate) position: u64,
    /// What to fetch next: further on only when rows before that were dropped before the group was kept in this store.
    pub(crate) next: u64,
    /// The end of the last commit that is known not to lie beyond the position.
    pub(crate) boundary: u64,
    pub(crate) taken: Taken,
}

/// Why sinks cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Storage(StorageError),
    /// Positions mean nothing there: going on would skip rows or bring in some twice.
    #[error(
        "its topic was deleted and made again: {detail}; rows that were not brought in yet are lost. Restore the topic, or remove the group with ?purge=true and register it anew"
    )]
    Remade { detail: String },
    /// Rows were dropped before they were brought in.
    #[error(
        "the log begins at offset {begin} of partition {partition}, and the {store} store holds the rows up to {position}: those between were dropped before they were brought in. Restore the topic, or set sinks.skip_lost_rows to go on without them"
    )]
    Lost {
        store: &'static str,
        partition: u32,
        position: u64,
        begin: u64,
    },
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Gone { detail, .. } => Self::Remade { detail },
            other => Self::Storage(other),
        }
    }
}

/// Finds the positions of both sinks, lets the log know of them, and learns which batches they have taken.
pub(crate) async fn start(
    state: &State,
    schema: &Arc<GroupSchema>,
    online: bool,
    offline: bool,
) -> Result<Start, StartError> {
    let deps = &state.deps;
    let topic = Topic::of(schema);
    let bounds = deps.row_log.bounds(schema).await?;
    if bounds.is_empty() {
        return Err(StartError::Storage(StorageError::NotProvisioned {
            what: "row log",
            group: schema.name.clone(),
        }));
    }
    let log = deps.row_log.identity(schema).await?;
    let partitions = u32::try_from(bounds.len()).unwrap_or(u32::MAX);
    let mut online_positions = None;
    if online {
        let positions = online_positions_of(deps, topic, partitions).await?;
        online_positions = Some(begin(deps, "online", &positions, &bounds, log)?);
    }
    let mut offline_positions = None;
    if offline {
        let positions = deps.offline.positions(schema, partitions).await?;
        offline_positions = Some(begin(deps, "offline", &positions, &bounds, log)?);
    }
    let both = online_positions.iter().chain(&offline_positions).flatten();
    let (positions, nexts): (Vec<u64>, Vec<u64>) = both.copied().unzip();
    // Of the rows that are still to come, hardly any repeats a batch that is older: one that does is recalled.
    let oldest = oldest_to_come(deps, schema, &nexts, &bounds).await?;
    let since = oldest.saturating_sub(LASTS);
    let begins = |positions: Vec<(u64, u64)>| -> Vec<PartitionStart> {
        let begin = |(position, next)| PartitionStart {
            position,
            next,
            boundary: 0,
            taken: Taken::new(&state.remembered, since),
        };
        positions.into_iter().map(begin).collect()
    };
    let mut online_start = online_positions.map(begins);
    let mut offline_start = offline_positions.map(begins);
    // Only a log that drops what it is told to asks for them.
    let boundaries = (online && offline && log.is_none()).then(Arc::<Boundaries>::default);
    let mut noted = None;
    if let Some(offline_start) = &mut offline_start {
        let online_start = online_start.as_deref_mut();
        let commits = deps.offline.notes(schema, since).await?;
        noted = learn_commits(commits, online_start, offline_start, boundaries.as_deref()).await?;
    }
    if let Some(log) = log {
        if let Some(noted) = noted
            && log != noted
        {
            return Err(StartError::Remade {
                detail: format!("the offline positions are of topic {noted}, this is topic {log}"),
            });
        }
        let is_new = positions.iter().all(|position| *position == 0);
        same_log(&*deps.online, schema, log, is_new).await?;
    }

    for (partition, start) in (0..).zip(online_start.iter_mut().flatten()) {
        let upto = if offline { start.boundary } else { start.position };
        deps.row_log.release(topic, partition, ONLINE, upto).await?;
        learn_rows(deps, schema, partition, start, since).await?;
        state.positions.advance(Store::Online, topic, partition, start.position);
    }
    for (partition, start) in (0..).zip(offline_start.iter().flatten()) {
        deps.row_log.release(topic, partition, OFFLINE, start.position).await?;
        state
            .positions
            .advance(Store::Offline, topic, partition, start.position);
    }
    Ok(Start {
        boundaries,
        log,
        ends: bounds.iter().map(|(_, end)| *end).collect(),
        online: online_start,
        offline: offline_start,
    })
}

/// Of each position, where to go on in the log.
fn begin(
    deps: &Deps,
    store: &'static str,
    positions: &[u64],
    bounds: &[(u64, u64)],
    log: Option<Uuid>,
) -> Result<Vec<(u64, u64)>, StartError> {
    let mut begins = Vec::new();
    for ((partition, position), (first, end)) in (0..).zip(positions.iter().copied()).zip(bounds.iter().copied()) {
        if position > end && log.is_some() {
            return Err(StartError::Remade {
                detail: format!(
                    "partition {partition} ends at offset {end}, and the {store} store holds its rows up to {position}"
                ),
            });
        }
        // A log without retention drops what all of its consumers have released, so that there was nothing for a store that came later.
        let lost = position > 0 && position < first && log.is_some();
        if lost && !deps.sinks.skip_lost_rows {
            return Err(StartError::Lost {
                store,
                partition,
                position,
                begin: first,
            });
        }
        if lost {
            tracing::error!(
                store,
                partition,
                position,
                begin = first,
                "rows that the log has dropped are skipped, as the settings say"
            );
        }
        begins.push((position, position.max(first)));
    }
    Ok(begins)
}

/// Compares the topic with the one that the positions are of, and remembers the first one. As long as nothing was brought in, another one is as good.
async fn same_log(
    online: &dyn OnlineStore,
    schema: &Arc<GroupSchema>,
    log: Uuid,
    is_new: bool,
) -> Result<(), StartError> {
    match same_log::noted(online, Topic::of(schema), log).await? {
        Noted::This => Ok(()),
        Noted::Another if !is_new => Err(StartError::Remade {
            detail: format!("this is topic {log}, and the positions are of another one"),
        }),
        Noted::Nothing => Ok(same_log::note(online, schema, log).await?),
        Noted::Another => {
            tracing::error!(group = %schema.name, topic = %log, "the topic was deleted and made again before a row of it was brought in; whatever was in the first one is lost");
            Ok(same_log::note(online, schema, log).await?)
        }
    }
}

async fn online_positions_of(deps: &Deps, topic: Topic, partitions: u32) -> Result<Vec<u64>> {
    let mut positions = Vec::new();
    for partition in 0..partitions {
        let position = deps.online.progress(&online_consumer(topic, partition)).await?;
        positions.push(position.map_or(0, |position| u64::try_from(position).unwrap_or_default()));
    }
    Ok(positions)
}

/// About the least ingest time of the rows that are still to be brought in: the present, or long ago after a long outage.
async fn oldest_to_come(
    deps: &Deps,
    schema: &Arc<GroupSchema>,
    nexts: &[u64],
    bounds: &[(u64, u64)],
) -> Result<Timestamp> {
    let mut oldest = deps.clock.now();
    // The positions of one store after those of the other.
    for (index, next) in nexts.iter().copied().enumerate() {
        let index = index % bounds.len();
        if next >= bounds[index].1 {
            continue;
        }
        let partition = u32::try_from(index).unwrap_or(u32::MAX);
        let fetched = deps
            .row_log
            .fetch(schema, partition, next, 1, std::time::Duration::ZERO)
            .await;
        let first = match &fetched {
            Ok(fetched) => fetched.rows.first(),
            // It is met again, and dealt with, by the sink itself.
            Err(StorageError::NewerLayout { .. }) => None,
            Err(error) => return Err(error.clone()),
        };
        if let Some(row) = first {
            oldest = oldest.min(ingest_time(schema, row)?);
        }
    }
    Ok(oldest)
}

/// Learns from the commits, newest first, what stands below the positions of both sinks and where they have boundaries; tells which topic the newest of those
/// with positions is of.
async fn learn_commits(
    mut commits: NotesOut,
    mut online: Option<&mut [PartitionStart]>,
    offline: &mut [PartitionStart],
    boundaries: Option<&Boundaries>,
) -> Result<Option<Uuid>> {
    for (partition, start) in (0..).zip(&*offline) {
        meet(partition, start.position, online.as_deref_mut(), boundaries);
    }
    let mut log = None;
    while let Some(commit) = commits.try_next().await? {
        if commit.positions.is_empty() {
            continue;
        }
        log.get_or_insert_with(|| commit.notes.get(LOG_NOTE)?.as_str()?.parse().ok());
        let committed_at = commit.committed_at.unwrap_or_default();
        for (partition, to) in &commit.positions {
            meet(*partition, *to, online.as_deref_mut(), boundaries);
            let noted = noted(&commit, *partition);
            let online = online
                .as_deref_mut()
                .and_then(|online| online.get_mut(*partition as usize));
            for start in online.into_iter().chain(offline.get_mut(*partition as usize)) {
                if *to <= start.position {
                    start.taken.learn(&noted, committed_at);
                    start.taken.forget();
                }
            }
        }
    }
    Ok(log.flatten())
}

/// Takes note of a boundary.
fn meet(partition: u32, to: u64, online: Option<&mut [PartitionStart]>, boundaries: Option<&Boundaries>) {
    if let Some(boundaries) = boundaries {
        boundaries.add(partition, to);
    }
    let online = online.and_then(|online| online.get_mut(partition as usize));
    if let Some(start) = online.filter(|start| to <= start.position) {
        start.boundary = start.boundary.max(to);
    }
}

/// Learns from the rows above the boundary, of those since `since`.
async fn learn_rows(
    deps: &Deps,
    schema: &Arc<GroupSchema>,
    partition: u32,
    start: &mut PartitionStart,
    since: Timestamp,
) -> Result<()> {
    let (boundary, position) = (start.boundary, start.position);
    let from = recall::reach_back(deps, schema, partition, boundary, position, since).await?;
    recall::read(deps, schema, partition, from, position, |rows| {
        for row in rows {
            start.taken.take(row, ingest_time(schema, row)?);
        }
        start.taken.forget();
        Ok(())
    })
    .await
}

fn ingest_time(schema: &GroupSchema, row: &LoggedRow) -> Result<Timestamp> {
    let head = RowHead::read(&row.row).map_err(|error| of_packed(schema, &error))?;
    Ok(head.ingest_time)
}
