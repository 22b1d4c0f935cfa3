//! What computations read, in the words of the graph.

use std::collections::{BTreeMap, BTreeSet};

use forebay_model::{
    DataType, KeyColumn, Name,
    definitions::{Batch, DefinitionSet, Dependency, FeatureGroup, Kind, ObjectId, Problem, Streaming},
    graph::{ColumnRead, EdgeKind, Lineage},
};
use forebay_sql::{Edge, Expression, Lineage as SqlLineage, SourceColumn, TableName};

/// The lineage of a batch query. Columns of inputs become those of the groups behind them.
pub fn of_batch(after: &DefinitionSet, group: &FeatureGroup, batch: &Batch, found: &SqlLineage) -> Lineage {
    let mut lineage = Lineage::default();
    for table in &found.tables {
        lineage.tables.extend(origins(batch, table));
    }
    for feature in &group.features {
        let columns = found.column(feature.name.as_str());
        let reads: BTreeSet<ColumnRead> = columns
            .into_iter()
            .flat_map(|column| &column.inputs)
            .flat_map(|(column, edge)| reads(after, batch, column, *edge))
            .collect();
        lineage.features.insert(feature.name.clone(), reads);
    }
    lineage
}

/// The sources and groups behind a table of a query.
fn origins(batch: &Batch, table: &TableName) -> BTreeSet<Dependency> {
    if let Some(input) = table.bare().and_then(|alias| batch.inputs.get(&alias)) {
        let groups = input.features.iter().map(|used| used.feature.group().clone());
        return groups.map(Dependency::Group).collect();
    }
    table
        .group()
        .map(Dependency::Group)
        .or_else(|| table.bare().map(Dependency::Source))
        .into_iter()
        .collect()
}

fn reads(after: &DefinitionSet, batch: &Batch, column: &SourceColumn, edge: Edge) -> Vec<ColumnRead> {
    let kind = match edge {
        Edge::Value => EdgeKind::Value,
        Edge::Influence => EdgeKind::Influence,
    };
    let read = |table: Dependency, column: &str| ColumnRead {
        table,
        column: column.to_owned(),
        kind,
    };
    let Some(input) = column.table.bare().and_then(|alias| batch.inputs.get(&alias)) else {
        return origins(batch, &column.table)
            .into_iter()
            .map(|table| read(table, &column.column))
            .collect();
    };
    let feature = input
        .features
        .iter()
        .find(|used| used.column().as_str() == column.column);
    match feature {
        Some(used) => vec![read(
            Dependency::Group(used.feature.group().clone()),
            used.feature.feature().as_str(),
        )],
        // A key or the event time: every group of the input gives them.
        None => {
            let groups: BTreeSet<_> = input.features.iter().map(|used| used.feature.group()).collect();
            groups
                .into_iter()
                .filter(|group| after.group(group).is_some())
                .map(|group| read(Dependency::Group(group.clone()), &column.column))
                .collect()
        }
    }
}

/// The lineage of a streaming group; the columns of its condition decide which records count.
///
/// # Errors
/// What is wrong with its condition.
pub fn of_streaming(after: &DefinitionSet, group: &FeatureGroup, keys: &[KeyColumn]) -> Result<Lineage, Vec<Problem>> {
    let names: Vec<Name> = keys.iter().map(|key| key.name.clone()).collect();
    let mut lineage = Lineage::of_streaming(group, &names);
    let Some(streaming) = &group.streaming else {
        return Ok(lineage);
    };
    let Some(filter) = &streaming.filter else {
        return Ok(lineage);
    };
    let columns = columns(after, streaming);
    let inputs: Vec<(&str, DataType)> = columns
        .iter()
        .map(|(name, data_type)| (name.as_str(), data_type.clone()))
        .collect();
    let condition = Expression::compile(filter, &inputs, &DataType::Bool).map_err(|error| {
        let id = ObjectId::new(Kind::FeatureGroup, group.name.to_string());
        let problem = Problem::of(id, "/streaming/where", error.kind.code(), error.to_string());
        vec![Problem {
            nearest: error.nearest,
            ..problem
        }]
    })?;
    for reads in lineage.features.values_mut() {
        reads.extend(condition.references().iter().filter_map(|index| {
            let (column, _) = inputs.get(*index)?;
            Some(ColumnRead {
                table: streaming.source.clone(),
                column: (*column).to_owned(),
                kind: EdgeKind::Influence,
            })
        }));
    }
    Ok(lineage)
}

/// The columns of the records that a streaming group reads.
fn columns(after: &DefinitionSet, streaming: &Streaming) -> BTreeMap<String, DataType> {
    match &streaming.source {
        Dependency::Source(name) => {
            let columns = after.source(name).map(|source| source.schema.clone());
            let columns = columns.into_iter().flatten();
            columns.map(|column| (column.name, column.data_type)).collect()
        }
        Dependency::Group(name) => {
            let Some(group) = after.group(name) else {
                return BTreeMap::new();
            };
            let keys = after.group_keys(group).unwrap_or_default().into_iter();
            let keys = keys.map(|key| (key.name.to_string(), key.key_type.data_type()));
            let features = group.features.iter();
            let features = features.map(|feature| (feature.name.to_string(), feature.data_type.clone()));
            keys.chain(features).collect()
        }
        Dependency::Feature(_) => BTreeMap::new(),
    }
}
