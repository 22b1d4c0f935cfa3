//! Which tasks a run has.

use std::{collections::BTreeSet, sync::Arc};

use forebay_api::runs::{RunState, RunTask};
use forebay_catalog::{Group, Snapshot};
use forebay_model::{GroupName, Timestamp, definitions::WayIn};
use forebay_telemetry::TraceContext;
use uuid::Uuid;

use crate::record::{Cause, RunRecord, Span, TaskRecord};

/// A run of `groups`, in the order of work; `span` tells how each comes by its interval.
pub(crate) fn plan(
    id: Uuid,
    cause: Cause,
    created_at: Timestamp,
    snapshot: &Snapshot,
    groups: &BTreeSet<GroupName>,
    span: impl Fn(&GroupName) -> Span,
) -> RunRecord {
    let graph = snapshot.graph();
    let order = graph.in_order(groups);
    let tasks = order
        .iter()
        .map(|group| {
            let span = span(group);
            let after = (0..order.len())
                .filter(|before| order[*before] != *group && depends(snapshot, group, &order[*before]))
                .collect();
            let (start, end) = match span {
                Span::Fixed { start, end } => (start, Some(end)),
                Span::SinceLast { end } => (None, Some(end)),
                Span::Changes => (None, None),
            };
            TaskRecord {
                group: group.clone(),
                span,
                after,
                shown: RunTask {
                    group: group.to_string(),
                    level: u32::try_from(graph.level(group).unwrap_or_default()).unwrap_or(u32::MAX),
                    state: RunState::Queued,
                    start,
                    end,
                    attempts: 0,
                    started_at: None,
                    finished_at: None,
                    rows_read: None,
                    rows_written: None,
                    rows_ahead: 0,
                    rows_rejected: 0,
                    warnings: Vec::new(),
                    versions_read: Default::default(),
                    version_written: None,
                    error: None,
                },
            }
        })
        .collect();
    RunRecord {
        id,
        cause,
        state: RunState::Queued,
        created_at,
        finished_at: None,
        registry_revision: snapshot.revision(),
        cancel_requested: false,
        driver: None,
        trace: TraceContext::current().map(|context| context.traceparent()),
        tasks,
    }
}

/// Whether a group reads another directly.
fn depends(snapshot: &Snapshot, group: &GroupName, on: &GroupName) -> bool {
    snapshot.graph().readers(on).any(|reader| reader == group)
}

/// The batch groups that are computed from these, directly or through others.
pub(crate) fn downstream(snapshot: &Snapshot, groups: &BTreeSet<GroupName>) -> BTreeSet<GroupName> {
    let found = snapshot.graph().downstream_groups(groups);
    found
        .into_iter()
        .filter(|name| batch_group(snapshot, name).is_some())
        .collect()
}

/// The group, if it is computed by a query.
pub(crate) fn batch_group<'a>(snapshot: &'a Snapshot, name: &GroupName) -> Option<&'a Arc<Group>> {
    snapshot.group(name).ok().filter(|group| group.way_in == WayIn::Batch)
}
