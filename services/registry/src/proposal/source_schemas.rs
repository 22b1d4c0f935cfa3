//! The columns of the tables that queries read.

use std::collections::{BTreeMap, BTreeSet};

use forebay_model::{
    GroupName, Name,
    definitions::{Definition, DefinitionSet, ObjectId, Problem, Source},
};
use forebay_sql::{BatchSql, arrow_type, model_type};
use forebay_storage::{SourceError, SourceTables};
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};

use crate::refusal::Refusal;

/// What is known of the sources that a change is about.
#[derive(Debug, Default)]
pub struct SourceSchemas {
    pub tables: BTreeMap<Name, SchemaRef>,
    pub problems: Vec<Problem>,
}

/// Asks for the columns of every Delta source that is changed itself or read by a query that is planned.
///
/// # Errors
/// When a store does not answer. What is wrong with a source is in the answer's problems.
pub async fn describe(
    after: &DefinitionSet,
    changed: &BTreeSet<ObjectId>,
    planned: &BTreeSet<GroupName>,
    tables: &dyn SourceTables,
) -> Result<SourceSchemas, Refusal> {
    let mut wanted: BTreeSet<Name> = changed
        .iter()
        .filter_map(|id| match after.get(id).map(AsRef::as_ref) {
            Some(Definition::Source(source)) => Some(source.name.clone()),
            _ => None,
        })
        .collect();
    for group in planned.iter().filter_map(|name| after.group(name)) {
        let parsed = group.batch.as_ref().and_then(|batch| BatchSql::parse(&batch.sql).ok());
        let names = parsed
            .iter()
            .flat_map(BatchSql::tables)
            .filter_map(|table| table.bare());
        wanted.extend(names.collect::<Vec<_>>());
    }
    let mut schemas = SourceSchemas::default();
    for source in wanted.iter().filter_map(|name| after.source(name)) {
        match describe_one(source, tables).await {
            Ok(Some(schema)) => {
                schemas.problems.extend(check(source, &schema));
                schemas.tables.insert(source.name.clone(), schema);
            }
            Ok(None) => {}
            Err(Fault::Problem(problem)) => schemas.problems.push(*problem),
            Err(Fault::Refusal(refusal)) => return Err(refusal),
        }
    }
    Ok(schemas)
}

enum Fault {
    Problem(Box<Problem>),
    Refusal(Refusal),
}

/// The columns of the source's table; none for a stream.
async fn describe_one(source: &Source, tables: &dyn SourceTables) -> Result<Option<SchemaRef>, Fault> {
    let Some(delta) = &source.delta else {
        return Ok(None);
    };
    let problem = |code, detail| {
        Err(Fault::Problem(Box::new(Problem::of(
            id(source),
            "/delta/uri",
            code,
            detail,
        ))))
    };
    match tables.describe(&delta.uri).await {
        Ok(table) => Ok(Some(table.schema)),
        Err(error @ SourceError::NotAllowed { .. }) => problem("location_not_allowed", error.to_string()),
        // Its columns are declared, so that queries can be planned before the first data is there.
        Err(SourceError::NotFound { .. }) if !source.schema.is_empty() => Ok(Some(declared(source))),
        Err(error @ SourceError::NotFound { .. }) => problem(
            "source_not_found",
            format!("{error}; write it first, or declare its columns with `schema`"),
        ),
        Err(SourceError::Storage(error)) => Err(Fault::Refusal(Refusal::Unavailable {
            what: format!("the table of the source `{}`", source.name),
            source: error,
        })),
    }
}

fn id(source: &Source) -> ObjectId {
    ObjectId::new(forebay_model::definitions::Kind::Source, source.name.to_string())
}

fn declared(source: &Source) -> SchemaRef {
    let fields: Vec<Field> = source
        .schema
        .iter()
        .map(|column| Field::new(&column.name, arrow_type(&column.data_type), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// What the definition says of the table and the table does not.
fn check(source: &Source, schema: &SchemaRef) -> Vec<Problem> {
    let mut problems = Vec::new();
    let columns = || schema.fields().iter().map(|field| field.name().as_str());
    let mut unknown = |pointer: String, column: &str| {
        let detail = format!("the table of `{}` has no column `{column}`", source.name);
        problems.push(Problem::of(id(source), pointer, "unknown_column", detail).near(column, columns()));
    };
    if let Some(time) = &source.event_time
        && schema.field_with_name(&time.field).is_err()
    {
        unknown("/event_time".to_owned(), &time.field);
    }
    for (index, column) in source.schema.iter().enumerate() {
        if schema.field_with_name(&column.name).is_err() {
            unknown(format!("/schema/{index}/name"), &column.name);
        }
    }
    for (index, column) in source.schema.iter().enumerate() {
        let Ok(field) = schema.field_with_name(&column.name) else {
            continue;
        };
        let found = model_type(field.data_type());
        if found.as_ref() != Some(&column.data_type) {
            let found = found.map_or_else(|| field.data_type().to_string(), |found| found.to_string());
            let detail = format!(
                "the table has `{}` as {found}, not as {}",
                column.name, column.data_type
            );
            let pointer = format!("/schema/{index}/type");
            problems.push(Problem::of(id(source), pointer, "wrong_type", detail));
        }
    }
    problems
}
