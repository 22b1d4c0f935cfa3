//! The columns of a group's table that matter for its layout.

use arrow::datatypes::SchemaRef;
use forebay_model::GroupSchema;
use forebay_rows::arrow_types::{self, Column, EVENT_TIME, Flavor, INGEST_TIME, SEQUENCE};

/// The columns as readers see them, hidden features included.
pub(crate) fn arrow_schema(schema: &GroupSchema) -> SchemaRef {
    arrow_types::arrow_schema(schema, &Column::all(schema), Flavor::Arrow)
}

/// The columns that files are sorted by.
pub(crate) fn sort_columns(schema: &GroupSchema) -> Vec<String> {
    let keys = schema.keys.iter().map(|key| key.name.as_str());
    keys.chain([EVENT_TIME, SEQUENCE]).map(str::to_owned).collect()
}

/// The columns with statistics.
pub(crate) fn statistics_columns(schema: &GroupSchema) -> Vec<String> {
    let keys = schema.keys.iter().map(|key| key.name.as_str());
    keys.chain([EVENT_TIME, INGEST_TIME]).map(str::to_owned).collect()
}
