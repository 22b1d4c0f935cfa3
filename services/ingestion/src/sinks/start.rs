//! Where the sinks of a topic take up their work.

use std::sync::Arc;

use forebay_model::GroupSchema;
use forebay_rows::RowHead;
use forebay_storage::{CommitNotes, LoggedRow, Result, StorageError, Topic};

use super::{
    batches::of_packed,
    boundaries::Boundaries,
    taken::{LASTS, Taken},
};
use crate::{Deps, State, Store};

/// Names of the consumers of a topic.
pub(crate) const ONLINE: &str = "online";
pub(crate) const OFFLINE: &str = "offline";

/// The input of the online sink, as the online store remembers it.
pub(crate) fn online_consumer(topic: Topic, partition: u32) -> String {
    format!("rows/{}.{}/{partition}", topic.group.0, topic.generation.0)
}

/// Where both sinks begin.
pub(crate) struct Start {
    pub(crate) boundaries: Arc<Boundaries>,
    /// For each partition, where the sink goes on; `None`: the group is not kept in that store.
    pub(crate) online: Option<(Vec<u64>, Taken)>,
    pub(crate) offline: Option<(Vec<u64>, Taken)>,
}

/// Finds the positions of both sinks, lets the log know of them, and learns which batches they have taken.
pub(crate) async fn start(state: &State, schema: &Arc<GroupSchema>, online: bool, offline: bool) -> Result<Start> {
    let deps = &state.deps;
    let topic = Topic::of(schema);
    let bounds = deps.row_log.bounds(schema).await?;
    if bounds.is_empty() {
        return Err(StorageError::NotProvisioned {
            what: "row log",
            group: schema.name.clone(),
        });
    }
    let partitions = u32::try_from(bounds.len()).unwrap_or(u32::MAX);
    let online_positions = match online {
        true => Some(online_positions(deps, topic, partitions).await?),
        false => None,
    };
    let (offline_positions, notes) = if offline {
        let since = deps.clock.now().saturating_sub(LASTS);
        let notes = deps.offline.notes(schema, since).await?;
        (Some(deps.offline.positions(schema, partitions).await?), notes)
    } else {
        (None, Vec::new())
    };

    let boundaries = Arc::new(Boundaries::default());
    for (partition, position) in notes.iter().flat_map(|commit| &commit.positions) {
        boundaries.add(*partition, *position);
    }
    for (partition, position) in (0..).zip(offline_positions.iter().flatten()) {
        boundaries.add(partition, *position);
    }

    let mut online_start = None;
    if let Some(positions) = online_positions {
        let mut taken = Taken::default();
        for (partition, position) in (0..).zip(&positions) {
            let boundary = if offline {
                boundaries.floor(partition, *position)
            } else {
                0
            };
            deps.row_log
                .release(topic, partition, ONLINE, if offline { boundary } else { *position })
                .await?;
            learn_notes(&mut taken, &notes, partition, *position);
            let from = boundary.max(bounds[partition as usize].0);
            learn_rows(deps, schema, partition, from, *position, &mut taken).await?;
            state.positions.advance(Store::Online, topic, partition, *position);
        }
        online_start = Some((positions, taken));
    }
    let mut offline_start = None;
    if let Some(positions) = offline_positions {
        let mut taken = Taken::default();
        for (partition, position) in (0..).zip(&positions) {
            deps.row_log.release(topic, partition, OFFLINE, *position).await?;
            learn_notes(&mut taken, &notes, partition, *position);
            state.positions.advance(Store::Offline, topic, partition, *position);
        }
        offline_start = Some((positions, taken));
    }
    Ok(Start {
        boundaries,
        online: online_start,
        offline: offline_start,
    })
}

async fn online_positions(deps: &Deps, topic: Topic, partitions: u32) -> Result<Vec<u64>> {
    let mut positions = Vec::new();
    for partition in 0..partitions {
        let position = deps.online.progress(&online_consumer(topic, partition)).await?;
        positions.push(position.map_or(0, |position| u64::try_from(position).unwrap_or_default()));
    }
    Ok(positions)
}

/// Learns from the commits whose rows of the partition stand below `position`.
fn learn_notes(taken: &mut Taken, notes: &[CommitNotes], partition: u32, position: u64) {
    let below = notes
        .iter()
        .filter(|commit| commit.positions.get(&partition).is_some_and(|to| *to <= position));
    below.for_each(|commit| taken.learn(commit));
}

/// Learns from the rows from `from` up to `to`.
async fn learn_rows(
    deps: &Deps,
    schema: &Arc<GroupSchema>,
    partition: u32,
    from: u64,
    to: u64,
    taken: &mut Taken,
) -> Result<()> {
    let mut next = from;
    while next < to {
        let fetched = deps
            .row_log
            .fetch(schema, partition, next, 4 << 20, std::time::Duration::ZERO)
            .await?;
        if fetched.next <= next {
            break;
        }
        for row in fetched.rows.iter().filter(|row| row.offset < to) {
            taken.take(partition, row, ingest_time(schema, row)?);
        }
        next = fetched.next;
    }
    Ok(())
}

pub(crate) fn ingest_time(schema: &GroupSchema, row: &LoggedRow) -> Result<forebay_model::Timestamp> {
    let head = RowHead::read(&row.row).map_err(|error| of_packed(schema, &error))?;
    Ok(head.ingest_time)
}
