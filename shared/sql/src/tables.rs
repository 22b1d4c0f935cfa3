//! The tables that a batch query may read, and what they look like.

use std::{collections::BTreeMap, fmt, sync::Arc};

use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};
use datafusion_common::TableReference;
use forebay_model::{DataType, GroupName, Name};

/// A table as a query names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableName {
    /// `listings`: a source, or an input of the group's own.
    Bare(String),
    /// `product.value`: a group's winning rows.
    Group { domain: String, group: String },
    /// Three parts or more, which nothing is called.
    Other(String),
}

impl TableName {
    pub(crate) fn from_reference(reference: &TableReference) -> Self {
        match reference {
            TableReference::Bare { table } => Self::Bare(table.to_string()),
            TableReference::Partial { schema, table } => Self::Group {
                domain: schema.to_string(),
                group: table.to_string(),
            },
            full @ TableReference::Full { .. } => Self::Other(full.to_string()),
        }
    }

    /// The group it names, when it can name one.
    #[must_use]
    pub fn group(&self) -> Option<GroupName> {
        match self {
            Self::Group { .. } => self.to_string().parse().ok(),
            _ => None,
        }
    }

    /// The source or input it names, when it can name one.
    #[must_use]
    pub fn bare(&self) -> Option<Name> {
        match self {
            Self::Bare(name) => name.parse().ok(),
            _ => None,
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(name) | Self::Other(name) => f.write_str(name),
            Self::Group { domain, group } => write!(f, "{domain}.{group}"),
        }
    }
}

impl From<&GroupName> for TableName {
    fn from(name: &GroupName) -> Self {
        Self::Group {
            domain: name.domain().to_string(),
            group: name.group().to_string(),
        }
    }
}

impl From<&Name> for TableName {
    fn from(name: &Name) -> Self {
        Self::Bare(name.to_string())
    }
}

/// The schemas against which a query is planned. An input hides a source of the same name.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    schemas: BTreeMap<TableName, SchemaRef>,
}

impl Tables {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a table; one of the same name is replaced.
    pub fn add(&mut self, name: impl Into<TableName>, schema: SchemaRef) -> &mut Self {
        self.schemas.insert(name.into(), schema);
        self
    }

    #[must_use]
    pub fn with(mut self, name: impl Into<TableName>, schema: SchemaRef) -> Self {
        self.add(name, schema);
        self
    }

    #[must_use]
    pub fn schema(&self, name: &TableName) -> Option<&SchemaRef> {
        self.schemas.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &TableName> {
        self.schemas.keys()
    }
}

/// What a query sees of a group: its keys, `event_time` and its features, in this order; deletes and losing rows are left out.
#[must_use]
pub fn group_schema<'a>(
    keys: impl IntoIterator<Item = (&'a str, DataType)>,
    features: impl IntoIterator<Item = (&'a str, DataType)>,
) -> SchemaRef {
    let field = |(name, data_type): (&str, DataType)| Field::new(name, crate::arrow_type(&data_type), true);
    let event_time = Field::new(
        "event_time",
        ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        true,
    );
    let fields: Vec<_> = keys
        .into_iter()
        .map(field)
        .chain([event_time])
        .chain(features.into_iter().map(field))
        .collect();
    Arc::new(Schema::new(fields))
}

/// What a query sees of an input: the keys, `event_time` (the moments at which any of its groups has a row), and the features by
/// the names that the input gives them.
#[must_use]
pub fn input_schema<'a>(
    keys: impl IntoIterator<Item = (&'a str, DataType)>,
    features: impl IntoIterator<Item = (&'a str, DataType)>,
) -> SchemaRef {
    group_schema(keys, features)
}
