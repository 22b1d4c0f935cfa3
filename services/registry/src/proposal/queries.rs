//! Batch queries, planned against what they read.

use std::collections::{BTreeMap, BTreeSet};

use arrow_schema::{Schema, SchemaRef};
use forebay_model::{
    DataType, GroupName, Name,
    definitions::{Batch, DefinitionSet, FeatureGroup, Input, Kind, ObjectId, Problem},
    graph::{Graph, Lineage},
};
use forebay_sql::{BatchSql, SqlError, TableName, Tables, Wanted, group_schema, input_schema};
use std::sync::Arc;

use super::{lineage, source_schemas::SourceSchemas};

const AT: &str = "/batch/sql";

/// The computed groups whose query must be planned: those that change, and those that read what changes.
pub fn to_plan(
    after: &DefinitionSet,
    changed: &BTreeSet<ObjectId>,
    graph: &Graph,
    broken: &BTreeSet<ObjectId>,
) -> BTreeSet<GroupName> {
    // Keys are those of entities, so that a changed entity changes its groups.
    let entities: BTreeSet<&str> = names(changed, Kind::Entity).collect();
    let groups: BTreeSet<String> = names(changed, Kind::FeatureGroup)
        .map(str::to_owned)
        .chain(
            after
                .groups()
                .filter(|group| {
                    group
                        .entities
                        .iter()
                        .any(|used| entities.contains(used.entity.as_str()))
                })
                .map(|group| group.name.to_string()),
        )
        .collect();
    let sources: BTreeSet<&str> = names(changed, Kind::Source).collect();
    after
        .groups()
        .filter(|group| group.way_in().is_computed())
        .filter(|group| {
            let reads_changed = || {
                graph.reads(&group.name).any(|read| {
                    let read = read.to_string();
                    groups.contains(&read) || sources.contains(read.as_str())
                })
            };
            groups.contains(&group.name.to_string()) || reads_changed()
        })
        .filter(|group| !broken.contains(&id(&group.name)))
        .map(|group| group.name.clone())
        .collect()
}

fn names(ids: &BTreeSet<ObjectId>, kind: Kind) -> impl Iterator<Item = &str> {
    ids.iter().filter(move |id| id.kind == kind).map(|id| id.name.as_str())
}

fn id(group: &GroupName) -> ObjectId {
    ObjectId::new(Kind::FeatureGroup, group.to_string())
}

/// What a group's computation reads.
///
/// # Errors
/// Everything that is wrong with its SQL, with positions in it.
pub fn plan(after: &DefinitionSet, name: &GroupName, sources: &SourceSchemas) -> Result<Lineage, Vec<Problem>> {
    let Some(group) = after.group(name) else {
        return Ok(Lineage::default());
    };
    let keys = after.group_keys(group).unwrap_or_default();
    let Some(batch) = &group.batch else {
        return super::lineage::of_streaming(after, group, &keys);
    };
    let report = |error: &SqlError| vec![problem(name, AT, error)];
    let sql = BatchSql::parse(&batch.sql).map_err(|error| report(&error))?;
    let tables = tables(after, group, batch, &sql, sources)?;
    let planned = sql.plan(&tables).map_err(|error| report(&error))?;
    let keys: Vec<Wanted> = keys
        .iter()
        .map(|key| wanted(&key.name, key.key_type.data_type()))
        .collect();
    let features = group
        .features
        .iter()
        .map(|feature| wanted(&feature.name, feature.data_type.clone()));
    let features: Vec<Wanted> = features.collect();
    planned
        .check(&keys, &features)
        .map_err(|errors| errors.iter().map(|error| problem(name, AT, error)).collect::<Vec<_>>())?;
    Ok(lineage::of_batch(after, group, batch, planned.lineage()))
}

fn wanted(name: &Name, data_type: DataType) -> Wanted {
    Wanted {
        name: name.to_string(),
        data_type,
    }
}

/// An SQL error as a problem; its position is in the detail.
pub fn problem(group: &GroupName, pointer: &str, error: &SqlError) -> Problem {
    Problem {
        nearest: error.nearest.clone(),
        ..Problem::of(id(group), pointer, error.kind.code(), error.to_string())
    }
}

/// The schemas of everything that a query names.
fn tables(
    after: &DefinitionSet,
    group: &FeatureGroup,
    batch: &Batch,
    sql: &BatchSql,
    sources: &SourceSchemas,
) -> Result<Tables, Vec<Problem>> {
    let mut tables = Tables::new();
    let mut problems = Vec::new();
    let mut report = |code, detail: String| problems.push(Problem::of(id(&group.name), AT, code, detail));
    let mut unknown = false;
    for name in sql.tables() {
        if let Some(alias) = name.bare()
            && let Some(input) = batch.inputs.get(&alias)
        {
            tables.add(name.clone(), schema_of_input(after, input));
        } else if let Some(source) = name.bare().and_then(|name| after.source(&name)) {
            match sources.tables.get(&source.name) {
                Some(schema) => {
                    tables.add(name.clone(), schema.clone());
                }
                None if source.kafka.is_some() => report(
                    "not_a_table",
                    format!("`{name}` is a Kafka topic, which a batch query cannot read; a streaming group can"),
                ),
                // What is wrong with the source has been reported as its own problem.
                None => return Err(Vec::new()),
            }
        } else if let Some(read) = name.group().and_then(|name| after.group(&name)) {
            if read.has_history() {
                tables.add(name.clone(), schema_of_group(after, read));
            } else {
                report(
                    "no_history",
                    format!(
                        "`{name}` keeps no history, so nothing can be computed from it; add `offline` to its stores"
                    ),
                );
            }
        } else {
            unknown = true;
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if unknown {
        // Planning will fail at the unknown table; every other name is there for the error to compare with.
        add_names(&mut tables, after, sql.tables());
    }
    Ok(tables)
}

fn add_names(tables: &mut Tables, after: &DefinitionSet, named: &[TableName]) {
    let empty: SchemaRef = Arc::new(Schema::empty());
    let groups = after.groups().map(|group| TableName::from(&group.name));
    let sources = after.sources().map(|source| TableName::from(&source.name));
    for name in groups.chain(sources).filter(|name| !named.contains(name)) {
        tables.add(name, empty.clone());
    }
}

fn schema_of_group(after: &DefinitionSet, group: &FeatureGroup) -> SchemaRef {
    let keys = after.group_keys(group).unwrap_or_default();
    let features = group.features.iter().map(|f| (f.name.as_str(), f.data_type.clone()));
    group_schema(keys.iter().map(|k| (k.name.as_str(), k.key_type.data_type())), features)
}

fn schema_of_input(after: &DefinitionSet, input: &Input) -> SchemaRef {
    let first = input
        .features
        .first()
        .and_then(|used| after.group(used.feature.group()));
    let keys = first.and_then(|group| after.group_keys(group).ok()).unwrap_or_default();
    let types: BTreeMap<&Name, DataType> = input
        .features
        .iter()
        .filter_map(|used| {
            let group = after.group(used.feature.group())?;
            let feature = group.feature(used.feature.feature().as_str())?;
            Some((used.column(), feature.data_type.clone()))
        })
        .collect();
    let features = input.features.iter().filter_map(|used| {
        let data_type = types.get(used.column())?;
        Some((used.column().as_str(), data_type.clone()))
    });
    input_schema(keys.iter().map(|k| (k.name.as_str(), k.key_type.data_type())), features)
}
