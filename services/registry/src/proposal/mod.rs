//! From a bundle to what it would change: everything is decided here and nothing is written.

mod lineage;
mod queries;
mod schemas;
mod source_schemas;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use forebay_catalog::{GroupState, Object, Record, Snapshot};
use forebay_model::{
    GroupName,
    change::{self, Action, Affect, Break, Change},
    definitions::{Definition, DefinitionSet, History, Kind, ObjectId, Parsed, Problem, WayIn},
    graph::{Graph, Lineage},
};
use forebay_storage::SourceTables;

use crate::refusal::Refusal;

/// Feature groups in one installation.
pub const MAX_GROUPS: usize = 10_000;

/// What is asked for.
#[derive(Debug)]
pub enum Request {
    /// Objects to register; with `prune` also delete what they leave out of the domains they name.
    Bundle { objects: Vec<Parsed>, prune: bool },
    /// An object to delete; with `purge` also its data.
    Delete { id: ObjectId, purge: bool },
}

/// What would change, ready to be written.
#[derive(Debug)]
pub struct Proposal {
    /// The registry revision that it is made against.
    pub base: u64,
    pub changes: Vec<(Change, u64)>,
    pub recompute: Vec<GroupName>,
    pub breaks: Vec<Break>,
    pub affects: Vec<Affect>,
    /// Streaming groups of the request: they are registered, and nothing computes them yet.
    pub not_computed: Vec<GroupName>,
    /// The next revisions of the objects that change.
    pub objects: Vec<Object>,
    /// The number that the next new group gets.
    pub next_group_id: u32,
}

/// Decides what a request changes in `snapshot`.
///
/// # Errors
/// Everything that is wrong with it. Breaks are no error here: a plan shows them, an apply refuses them.
pub async fn propose(
    snapshot: &Snapshot,
    next_group_id: u32,
    request: &Request,
    sources: &dyn SourceTables,
) -> Result<Proposal, Refusal> {
    let before = snapshot.definitions();
    let (after, named) = after(before, request);
    let documents = documents(request);
    let refuse = |mut problems: Vec<Problem>| {
        for problem in &mut problems {
            let document = problem.object.as_ref().and_then(|id| documents.get(id));
            problem.document = document.copied();
        }
        Refusal::Problems(problems)
    };

    let later = not_supported(&after, &named);
    if !later.is_empty() {
        return Err(refuse(later));
    }
    if let Some(first) = changed_groups_over(before, &after) {
        let detail = format!("more than {MAX_GROUPS} feature groups; delete some first");
        return Err(refuse(vec![Problem::of(first, "", "over_limit", detail)]));
    }
    let breaks = change::breaks(before, snapshot.graph(), &after);
    let broken = broken_objects(&breaks);
    let mut problems = after.validate();
    problems.retain(|problem| problem.object.as_ref().is_none_or(|id| !broken.contains(id)));
    if !problems.is_empty() {
        return Err(refuse(problems));
    }

    let changed: BTreeSet<ObjectId> = after
        .iter()
        .filter(|(id, object)| before.get(id) != Some(*object))
        .map(|(id, _)| id.clone())
        .collect();
    let old_lineages = lineages(snapshot);
    let planned = queries::to_plan(&after, &changed, snapshot.graph(), &broken);
    let schemas = source_schemas::describe(&after, &changed, &planned, sources).await?;
    let mut problems = schemas.problems.clone();
    let mut lineages = old_lineages;
    lineages.retain(|name, _| after.group(name).is_some());
    for name in &planned {
        match queries::plan(&after, name, &schemas) {
            Ok(lineage) => {
                lineages.insert(name.clone(), lineage);
            }
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(views::check(&after, &changed, &broken));
    if !problems.is_empty() {
        return Err(refuse(problems));
    }
    let graph = Graph::build(&after, &lineages).map_err(|cycle| {
        let object = cycle
            .path
            .iter()
            .map(|group| ObjectId::new(Kind::FeatureGroup, group.to_string()));
        let object = object
            .clone()
            .find(|id| changed.contains(id))
            .or_else(|| object.clone().next());
        let at = object.unwrap_or_else(|| ObjectId::new(Kind::FeatureGroup, ""));
        refuse(vec![Problem::of(at, "", "cycle", cycle.to_string())])
    })?;

    let mut next_group_id = next_group_id;
    let states = match schemas::evolve(snapshot, &after, &lineages, &mut next_group_id) {
        // The breaks say more: nothing with breaks is ever written.
        Err(_) if !breaks.is_empty() => BTreeMap::new(),
        states => states?,
    };
    let (changes, objects) = revisions(snapshot, &after, &named, &states, request);
    Ok(Proposal {
        base: snapshot.revision(),
        recompute: change::recompute(before, &after, &graph),
        affects: change::affects(before, &after, &graph),
        not_computed: streaming(&after, &named),
        breaks,
        changes,
        objects,
        next_group_id,
    })
}

/// A new group, if there are too many with it.
fn changed_groups_over(before: &DefinitionSet, after: &DefinitionSet) -> Option<ObjectId> {
    let mut new = after.groups().filter(|group| before.group(&group.name).is_none());
    let over = after.groups().count() > MAX_GROUPS;
    let first = new.next().filter(|_| over)?;
    Some(ObjectId::new(Kind::FeatureGroup, first.name.to_string()))
}

/// The definitions as the request wants them, and the objects that it names.
fn after(before: &DefinitionSet, request: &Request) -> (DefinitionSet, BTreeSet<ObjectId>) {
    let mut after = before.clone();
    let mut named = BTreeSet::new();
    match request {
        Request::Delete { id, .. } => {
            after.remove(id);
            named.insert(id.clone());
        }
        Request::Bundle { objects, prune } => {
            for parsed in objects {
                named.insert(parsed.definition.id());
                after.insert(Arc::new(parsed.definition.clone()));
            }
            if *prune {
                let domains: BTreeSet<_> = objects.iter().map(|parsed| parsed.definition.domain()).collect();
                // A domain goes only by its own deletion: a bundle may leave its document out and still name it.
                let left_out = before.iter().filter(|(id, object)| {
                    id.kind != Kind::Domain && domains.contains(object.domain()) && !named.contains(*id)
                });
                for (id, _) in left_out {
                    after.remove(id);
                }
            }
        }
    }
    (after, named)
}

fn documents(request: &Request) -> HashMap<ObjectId, usize> {
    match request {
        Request::Bundle { objects, .. } => objects.iter().map(|p| (p.definition.id(), p.document)).collect(),
        Request::Delete { .. } => HashMap::new(),
    }
}

/// What the contract has and this version does not.
fn not_supported(after: &DefinitionSet, named: &BTreeSet<ObjectId>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for id in named {
        let mut report = |pointer: String, what: &str| {
            let detail = format!("{what} is not supported yet; leave it out");
            problems.push(Problem::of(id.clone(), pointer, "not_supported", detail));
        };
        match after.get(id).map(AsRef::as_ref) {
            Some(Definition::FeatureGroup(group)) => {
                for (index, feature) in group.features.iter().enumerate() {
                    if feature.deprecated.is_some() {
                        report(format!("/features/{index}/deprecated"), "`deprecated`");
                    }
                }
            }
            Some(Definition::FeatureView(view)) => {
                for (index, feature) in view.features.iter().enumerate() {
                    if feature.history == Some(History::Current) {
                        report(format!("/features/{index}/history"), "`history: current`");
                    }
                }
            }
            _ => {}
        }
    }
    problems
}

fn streaming(after: &DefinitionSet, named: &BTreeSet<ObjectId>) -> Vec<GroupName> {
    let groups = after.groups().filter(|group| group.way_in() == WayIn::Streaming);
    let named = groups.filter(|group| named.contains(&ObjectId::new(Kind::FeatureGroup, group.name.to_string())));
    named.map(|group| group.name.clone()).collect()
}

/// The objects that readers of breaks are or belong to: what is wrong with them follows from the breaks.
fn broken_objects(breaks: &[Break]) -> BTreeSet<ObjectId> {
    let mut broken = BTreeSet::new();
    for reader in breaks.iter().map(|found| found.reader.as_str()) {
        match reader.split('.').count() {
            // A view's name, or with a removed domain or entity that of anything.
            1 => broken.extend(Kind::ALL.map(|kind| ObjectId::new(kind, reader))),
            2 => {
                broken.insert(ObjectId::new(Kind::FeatureGroup, reader));
            }
            _ => {
                let group = reader.rsplit_once('.').map_or(reader, |(group, _)| group);
                broken.insert(ObjectId::new(Kind::FeatureGroup, group));
            }
        }
    }
    broken
}

fn lineages(snapshot: &Snapshot) -> BTreeMap<GroupName, Lineage> {
    let groups = snapshot.groups();
    groups
        .map(|group| (group.name.clone(), (*group.lineage).clone()))
        .collect()
}

/// The change of each object with its next revision, and the objects to write.
fn revisions(
    snapshot: &Snapshot,
    after: &DefinitionSet,
    named: &BTreeSet<ObjectId>,
    states: &BTreeMap<GroupName, GroupState>,
    request: &Request,
) -> (Vec<(Change, u64)>, Vec<Object>) {
    let purge = matches!(request, Request::Delete { purge: true, .. });
    let mut objects = Vec::new();
    let mut all = Vec::new();
    for change in change::changes(snapshot.definitions(), after, named) {
        let known = snapshot.entry(&change.id);
        let current = known.map_or(0, |entry| entry.revision);
        let deleted = change.action == Action::Delete;
        if change.action == Action::None {
            all.push((change, current));
            continue;
        }
        let revision = current + 1;
        let record = if deleted {
            known.map(|entry| last(&entry.record, purge))
        } else {
            after.get(&change.id).map(|definition| {
                let group = match &**definition {
                    Definition::FeatureGroup(group) => states.get(&group.name).cloned(),
                    _ => None,
                };
                Record {
                    definition: Arc::clone(definition),
                    group,
                }
            })
        };
        if let Some(record) = record {
            objects.push(Object {
                revision,
                deleted,
                record: Arc::new(record),
            });
        }
        all.push((change, revision));
    }
    // Groups whose own definition stays, but not what follows from those of others.
    let named: BTreeSet<ObjectId> = all.iter().map(|(change, _)| change.id.clone()).collect();
    for group in snapshot.groups() {
        let id = ObjectId::new(Kind::FeatureGroup, group.name.to_string());
        let (Some(entry), Some(state)) = (snapshot.entry(&id), states.get(&group.name)) else {
            continue;
        };
        if !named.contains(&id) && entry.record.group.as_ref() != Some(state) {
            let record = Record {
                definition: Arc::clone(&entry.record.definition),
                group: Some(state.clone()),
            };
            let object = Object {
                revision: entry.revision,
                deleted: false,
                record: Arc::new(record),
            };
            objects.push(object);
        }
    }
    (all, objects)
}

/// The last record of a deleted object.
fn last(record: &Record, purge: bool) -> Record {
    let mut record = record.clone();
    if purge && let Some(state) = &mut record.group {
        let schema = Arc::clone(&state.schema);
        if !state.purged.contains(&schema) {
            state.purged.push(schema);
        }
    }
    record
}
