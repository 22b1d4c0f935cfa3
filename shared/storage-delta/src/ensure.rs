//! Making a group's table, and adding the columns that its schema has and the table has not.

use arrow::datatypes::Schema;
use deltalake::{
    DeltaTable,
    kernel::{StructField, StructType, engine::arrow_conversion::TryIntoKernel},
    operations::create::CreateBuilder,
    protocol::SaveMode,
};
use forebay_model::GroupSchema;
use forebay_rows::arrow_types;
use forebay_storage::{Result, StorageError};

use crate::{
    WHAT, columns, commit, error,
    table::{Table, is_overtaken},
};

/// How often it is tried while others change the table at the same time.
const TRIES: u32 = 20;

/// Brings the table to the schema.
pub(crate) async fn ensure(table: &Table, schema: &GroupSchema) -> Result<()> {
    for _ in 0..TRIES {
        let step = match table.newest().await? {
            None => create(table, schema).await,
            Some(current) => {
                let missing = missing(&current, schema)?;
                if missing.fields().is_empty() {
                    return Ok(());
                }
                add(current, missing).await
            }
        };
        match step {
            Ok(()) => {}
            Err(failure) if is_overtaken(&failure) => {}
            // Somebody else may have made it at the same time.
            Err(_)
                if table
                    .newest()
                    .await?
                    .is_some_and(|now| missing(&now, schema).is_ok_and(|missing| missing.fields().is_empty())) => {}
            Err(failure) => return Err(error::from_delta(failure)),
        }
    }
    Err(StorageError::TimedOut { what: WHAT })
}

async fn create(table: &Table, schema: &GroupSchema) -> deltalake::DeltaResult<()> {
    let fields = fields(&arrow_types::table_schema(schema))?;
    if let Some(folder) = table.location.local() {
        tokio::fs::create_dir_all(folder).await?;
    }
    CreateBuilder::new()
        .with_log_store(table.log_store())
        .with_save_mode(SaveMode::ErrorIfExists)
        .with_table_name(schema.name.to_string())
        .with_columns(fields)
        .with_configuration([
            ("delta.appendOnly", Some("true".to_owned())),
            (
                "delta.dataSkippingStatsColumns",
                Some(columns::statistics_columns(schema).join(",")),
            ),
        ])
        .with_commit_properties(commit::properties())
        .await?;
    Ok(())
}

async fn add(current: DeltaTable, missing: Schema) -> deltalake::DeltaResult<()> {
    current
        .add_columns()
        .with_fields(fields(&missing)?)
        .with_commit_properties(commit::properties())
        .await?;
    Ok(())
}

/// The columns that the table lacks.
///
/// # Errors
/// When a column of it has another type, or a key or time is missing: somebody has remade the table.
pub(crate) fn missing(current: &DeltaTable, schema: &GroupSchema) -> Result<Schema> {
    let kernel = current.snapshot().map_err(error::from_delta)?.schema();
    let wanted = arrow_types::table_schema(schema);
    let fixed = schema.keys.len() + 3;
    let mut missing = Vec::new();
    for (index, field) in wanted.fields().iter().enumerate() {
        let expected: StructField = field.as_ref().try_into_kernel().map_err(error::from_arrow)?;
        match kernel.field(field.name()) {
            Some(found) if found.data_type() == expected.data_type() => {}
            Some(found) => {
                return Err(mismatch(
                    schema,
                    field.name(),
                    &format!("is {}, not {}", found.data_type(), expected.data_type()),
                ));
            }
            None if index < fixed => return Err(mismatch(schema, field.name(), "is missing")),
            None => missing.push(field.clone()),
        }
    }
    Ok(Schema::new(missing))
}

fn mismatch(schema: &GroupSchema, column: &str, what: &str) -> StorageError {
    StorageError::corrupt(
        WHAT,
        format!(
            "column `{column}` of the table of {} {what}: the table was changed by others; restore it",
            schema.name
        ),
    )
}

fn fields(schema: &Schema) -> deltalake::DeltaResult<Vec<StructField>> {
    let kernel: StructType = schema
        .try_into_kernel()
        .map_err(|source| deltalake::DeltaTableError::Arrow { source })?;
    Ok(kernel.fields().cloned().collect())
}
