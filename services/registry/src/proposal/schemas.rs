//! The schema of every group after a change.

use std::{collections::BTreeMap, sync::Arc};

use forebay_catalog::{GroupState, Snapshot};
use forebay_model::{
    Generation, GroupId, GroupName, GroupSchema, LayoutNumber,
    change::{evolve as evolve_schema, shortest_ttl},
    definitions::{Definition, DefinitionSet, FeatureGroup, Kind, ObjectId},
    graph::Lineage,
};

use crate::refusal::Refusal;

/// What the registry keeps of each group of `after`. New groups take their numbers from `next_id`.
///
/// # Errors
/// [`Refusal::NeedsNewGeneration`] for the first group whose rows cannot follow its definition.
pub fn evolve(
    snapshot: &Snapshot,
    after: &DefinitionSet,
    lineages: &BTreeMap<GroupName, Lineage>,
    next_id: &mut u32,
) -> Result<BTreeMap<GroupName, GroupState>, Refusal> {
    after
        .groups()
        .map(|group| {
            let lineage = lineages.get(&group.name).cloned().unwrap_or_default();
            let state = state(snapshot, after, group, lineage, next_id)?;
            Ok((group.name.clone(), state))
        })
        .collect()
}

fn state(
    snapshot: &Snapshot,
    after: &DefinitionSet,
    group: &FeatureGroup,
    lineage: Lineage,
    next_id: &mut u32,
) -> Result<GroupState, Refusal> {
    let refuse = |source| Refusal::NeedsNewGeneration {
        group: group.name.to_string(),
        source,
    };
    let keys = after
        .group_keys(group)
        .map_err(|error| Refusal::Internal(error.to_string()))?;
    let entry = snapshot.entry(&ObjectId::new(Kind::FeatureGroup, group.name.to_string()));
    let before = entry.and_then(|entry| match (&*entry.record.definition, &entry.record.group) {
        (Definition::FeatureGroup(definition), Some(state)) => Some((definition, state)),
        _ => None,
    });
    match before {
        // Its rows were removed on purpose: it begins anew. Some stores purge by the group's number and some by its generation, and
        // may still have to, so both are others.
        Some((_, old)) if old.purged.contains(&old.schema) => Ok(GroupState {
            schema: Arc::new(GroupSchema {
                generation: Generation(old.schema.generation.0.saturating_add(1)),
                layout: LayoutNumber(0),
                ..evolve_schema(None, new_id(next_id), group, &keys).map_err(refuse)?
            }),
            lineage,
            shortest_ttl: group.ttl,
            purged: old.purged.clone(),
        }),
        // Deleted and registered again, or changed: the rows that are there count.
        Some((definition, old)) => Ok(GroupState {
            schema: same_or(
                &old.schema,
                evolve_schema(Some(&old.schema), old.schema.id, group, &keys).map_err(refuse)?,
            ),
            lineage,
            shortest_ttl: shortest_ttl(definition, old.shortest_ttl, group).map_err(refuse)?,
            purged: old.purged.clone(),
        }),
        None => Ok(GroupState {
            schema: Arc::new(evolve_schema(None, new_id(next_id), group, &keys).map_err(refuse)?),
            lineage,
            shortest_ttl: group.ttl,
            purged: Vec::new(),
        }),
    }
}

/// 0 is no group's number, so that a zeroed field never names one.
fn new_id(next: &mut u32) -> GroupId {
    let id = GroupId((*next).max(1));
    *next = id.0 + 1;
    id
}

fn same_or(before: &Arc<GroupSchema>, now: GroupSchema) -> Arc<GroupSchema> {
    if **before == now {
        Arc::clone(before)
    } else {
        Arc::new(now)
    }
}
