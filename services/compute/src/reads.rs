//! What a group's query reads.

use std::{collections::BTreeMap, sync::Arc};

use forebay_catalog::{Group, Snapshot};
use forebay_model::{DataType, GroupName, Name, definitions::Batch};
use forebay_query::{BatchTable, InputFeature};
use forebay_sql::{BatchSql, TableName, Tables, group_schema, input_schema};
use forebay_storage::{SourceTables, TableVersion};

use crate::failure::Failure;

/// A table whose versions matter to a query.
#[derive(Debug, Clone)]
pub(crate) enum Read {
    Source {
        name: Name,
        uri: String,
        event_time: Option<String>,
    },
    Group(Arc<Group>),
}

impl Read {
    /// A source's URI or a group's name.
    pub fn key(&self) -> String {
        match self {
            Self::Source { uri, .. } => uri.clone(),
            Self::Group(group) => group.name.to_string(),
        }
    }

    /// As definitions call it.
    pub fn name(&self) -> String {
        match self {
            Self::Source { name, .. } => name.to_string(),
            Self::Group(group) => group.name.to_string(),
        }
    }
}

/// A group's query with all that its names stand for, at one registry revision.
pub(crate) struct Reads {
    pub sql: BatchSql,
    pub has_inputs: bool,
    names: Vec<(TableName, Named)>,
    /// Each once.
    pub tables: Vec<Read>,
}

enum Named {
    Source(String),
    Group(Arc<Group>),
    Input(Vec<(Arc<Group>, String, String)>),
}

impl Reads {
    pub fn of(group: &Group, snapshot: &Snapshot) -> Result<Self, Failure> {
        let Some(batch) = &group.definition().batch else {
            return Err(Failure::lasting(format!("`{}` is not computed by a query", group.name)));
        };
        let sql = BatchSql::parse(&batch.sql).map_err(|error| Failure::lasting(error.to_string()))?;
        let mut reads = Self {
            has_inputs: !batch.inputs.is_empty(),
            names: Vec::new(),
            tables: Vec::new(),
            sql,
        };
        for table in reads.sql.tables().to_vec() {
            let named = reads.resolve(&table, batch, snapshot)?;
            reads.names.push((table, named));
        }
        Ok(reads)
    }

    fn resolve(&mut self, table: &TableName, batch: &Batch, snapshot: &Snapshot) -> Result<Named, Failure> {
        let unknown = || Failure::lasting(format!("there is no source, input or group `{table}`"));
        if let Some(name) = table.group() {
            let group = Arc::clone(find(snapshot, &name)?);
            self.add(Read::Group(Arc::clone(&group)));
            return Ok(Named::Group(group));
        }
        let name = table.bare().ok_or_else(unknown)?;
        if let Some(input) = batch.inputs.get(&name) {
            let mut features = Vec::new();
            for feature in &input.features {
                let group = Arc::clone(find(snapshot, feature.feature.group())?);
                self.add(Read::Group(Arc::clone(&group)));
                let (from, to) = (feature.feature.feature().to_string(), feature.column().to_string());
                features.push((group, from, to));
            }
            return Ok(Named::Input(features));
        }
        let source = snapshot.source(&name).ok_or_else(unknown)?;
        let Some(delta) = &source.delta else {
            return Err(Failure::lasting(format!("the source `{name}` is no Delta table")));
        };
        self.add(Read::Source {
            name,
            uri: delta.uri.clone(),
            // Times in another form cannot be compared with the table's statistics.
            event_time: source
                .event_time
                .as_ref()
                .filter(|time| time.unit.is_none() && time.time_zone.is_none())
                .map(|time| time.field.clone()),
        });
        Ok(Named::Source(delta.uri.clone()))
    }

    fn add(&mut self, read: Read) {
        if self.tables.iter().all(|other| other.key() != read.key()) {
            self.tables.push(read);
        }
    }

    /// The tables for the engine, at these versions where there is one.
    pub fn batch_tables(&self, versions: &BTreeMap<String, TableVersion>) -> BTreeMap<TableName, BatchTable> {
        let version = |key: &str| versions.get(key).copied();
        let tables = self.names.iter().map(|(name, named)| {
            let table = match named {
                Named::Source(uri) => BatchTable::Source {
                    uri: uri.clone(),
                    version: version(uri),
                },
                Named::Group(group) => BatchTable::Group {
                    schema: Arc::clone(&group.schema),
                    version: version(&group.name.to_string()),
                },
                Named::Input(features) => BatchTable::Input(
                    features
                        .iter()
                        .map(|(group, feature, name)| InputFeature {
                            schema: Arc::clone(&group.schema),
                            version: version(&group.name.to_string()),
                            ttl: group.ttl,
                            feature: feature.clone(),
                            name: name.clone(),
                        })
                        .collect(),
                ),
            };
            (name.clone(), table)
        });
        tables.collect()
    }

    /// The columns that planning needs.
    pub async fn schemas(&self, sources: &dyn SourceTables) -> Result<Tables, Failure> {
        let mut tables = Tables::new();
        for (name, named) in &self.names {
            let schema = match named {
                Named::Source(uri) => sources.describe(uri).await?.schema,
                Named::Group(group) => group_schema(keys(group), features(group)),
                Named::Input(features) => {
                    let columns = features.iter().filter_map(|(group, feature, name)| {
                        let slot = group.schema.slot(feature)?;
                        Some((name.as_str(), group.schema.slots[slot].data_type.clone()))
                    });
                    let first = features.first().map(|(group, _, _)| group);
                    input_schema(first.into_iter().flat_map(|group| keys(group)), columns)
                }
            };
            tables.add(name.clone(), schema);
        }
        Ok(tables)
    }
}

fn find<'a>(snapshot: &'a Snapshot, name: &GroupName) -> Result<&'a Arc<Group>, Failure> {
    snapshot
        .ready_group(name)
        .map_err(|error| Failure::passing(error.to_string()))
}

fn keys(group: &Group) -> impl Iterator<Item = (&str, DataType)> {
    group.keys().iter().map(|key| (key.name.as_str(), key.key_type.into()))
}

fn features(group: &Group) -> impl Iterator<Item = (&str, DataType)> {
    group
        .schema
        .visible()
        .map(|(_, slot)| (slot.name.as_str(), slot.data_type.clone()))
}
