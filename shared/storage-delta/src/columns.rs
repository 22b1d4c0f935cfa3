//! The columns of a group's table that matter for its layout.

use arrow::datatypes::SchemaRef;
use deltalake::DeltaTable;
use forebay_model::{GroupSchema, Name};
use forebay_rows::arrow_types::{self, Column, EVENT_TIME, Flavor, INGEST_TIME, SEQUENCE};
use forebay_storage::Result;

use crate::error;

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

/// The columns of a version that the schema does not have and that may be features: our own ones and others' cannot have the same name.
pub(crate) fn unknown(version: &DeltaTable, schema: &GroupSchema) -> Result<Vec<String>> {
    let found = version.snapshot().map_err(error::from_delta)?.schema();
    let known = arrow_schema(schema);
    let unknown = found
        .fields()
        .map(|field| field.name())
        .filter(|name| known.field_with_name(name).is_err() && Name::new(name).is_ok());
    Ok(unknown.cloned().collect())
}
