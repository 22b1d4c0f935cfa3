//! Writing data files: rows cast to the table's columns, sorted within each file, with statistics on keys and times.

use std::{num::NonZeroU64, sync::Arc};

use arrow::{
    array::{RecordBatch, RecordBatchOptions, new_null_array},
    compute::{CastOptions, cast_with_options},
    datatypes::SchemaRef,
};
use deltalake::{
    DeltaTable,
    datafile::writer::{DeltaWriter, WriterConfig},
    kernel::Add,
    table::config::TablePropertiesExt,
};
use forebay_storage::{AppendError, Result, RowsIn};
use futures::StreamExt;
use object_store::ObjectStoreExt;
use parquet::{basic::Compression, file::properties::WriterProperties};

use crate::{durable, error, files, location::Location, sort};

/// Rows of a row group: small enough that a key's rows are found without reading much of a file.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Bytes of a column's distinct values in a row group from which on they are written plainly: numbers that hardly repeat are not looked up in vain.
const DICTIONARY_BYTES: usize = 128 << 10;

/// The columns that matter for writing.
#[derive(Debug, Clone)]
pub(crate) struct WriteColumns {
    pub(crate) sort: Vec<String>,
    pub(crate) statistics: Vec<String>,
}

/// Data files that no commit names yet.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) adds: Vec<Add>,
    pub(crate) rows: u64,
}

/// A writer of data files into the table's folder; it starts another file when one reaches `target_bytes`.
pub(crate) fn writer(table: &DeltaTable, columns: &WriteColumns, target_bytes: Option<u64>) -> Result<DeltaWriter> {
    let snapshot = table.snapshot().map_err(error::from_delta)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .build();
    let config = WriterConfig::new(
        file_schema(table)?,
        Vec::new(),
        Some(properties),
        target_bytes.and_then(NonZeroU64::new),
        None,
        snapshot.table_config().num_indexed_cols(),
        Some(columns.statistics.clone()),
    );
    Ok(DeltaWriter::new(table.object_store(), config))
}

/// The columns of the table's files as its newest schema has them.
pub(crate) fn file_schema(table: &DeltaTable) -> Result<SchemaRef> {
    Ok(table.snapshot().map_err(error::from_delta)?.snapshot().arrow_schema())
}

/// Writes all rows, sorted within each file. About `memory_bytes` of them are gathered at a time; sorting takes twice as much again.
pub(crate) async fn write_sorted(
    table: &DeltaTable,
    location: &Location,
    columns: &WriteColumns,
    mut rows: RowsIn,
    memory_bytes: usize,
) -> Result<Written, AppendError> {
    let schema = file_schema(table)?;
    let mut written = Written::default();
    let mut gathered = Vec::new();
    let mut bytes = 0;
    loop {
        let batch = rows.next().await.transpose().map_err(AppendError::Rows)?;
        let end = batch.is_none();
        if let Some(batch) = batch
            && batch.num_rows() > 0
        {
            let batch = conform(&batch, &schema).map_err(|failure| AppendError::Rows(failure.into()))?;
            bytes += batch.get_array_memory_size();
            written.rows += batch.num_rows() as u64;
            gathered.push(batch);
        }
        if bytes >= memory_bytes || (end && !gathered.is_empty()) {
            bytes = 0;
            let adds = write_file(table, columns, &schema, std::mem::take(&mut gathered)).await?;
            written.adds.extend(adds);
        }
        if end {
            break;
        }
    }
    finish(location, columns, &mut written.adds).await?;
    Ok(written)
}

/// Marks files as sorted and forces them to the disk. What a bucket has said to have is durable.
pub(crate) async fn finish(location: &Location, columns: &WriteColumns, adds: &mut [Add]) -> Result<()> {
    for add in adds.iter_mut() {
        files::mark_sorted(add, &columns.sort);
    }
    let Some(root) = location.local() else {
        return Ok(());
    };
    let paths = adds.iter().map(|add| root.join(&add.path)).collect();
    durable::sync_files(paths).await
}

/// Removes files that no commit will name.
pub(crate) async fn discard(location: &Location, adds: &[Add]) {
    for path in adds.iter().filter_map(|add| location.object(&add.path)) {
        if let Err(failure) = location.store().delete(&path).await {
            tracing::debug!(%failure, "an unused data file stays until vacuum");
        }
    }
}

async fn write_file(
    table: &DeltaTable,
    columns: &WriteColumns,
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<Vec<Add>> {
    let (schema, by) = (schema.clone(), columns.sort.clone());
    let sorted = tokio::task::spawn_blocking(move || sort::sorted(&schema, &batches, &by))
        .await
        .map_err(error::from_join)?
        .map_err(error::from_arrow)?;
    let mut writer = writer(table, columns, None)?;
    writer.write(&sorted).await.map_err(error::from_delta)?;
    writer.close().await.map_err(error::from_delta)
}

/// Why a batch does not fit the table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConformError {
    #[error("the table has no column `{0}`")]
    UnknownColumn(String),
    #[error("column `{column}`: {source}")]
    Cast {
        column: String,
        source: arrow::error::ArrowError,
    },
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

/// The batch with exactly the columns of `schema`, absent ones null. A value that does not fit its column's type is an error, never another value.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ConformError> {
    let unknown = batch
        .schema_ref()
        .fields()
        .iter()
        .find(|field| schema.field_with_name(field.name()).is_err());
    if let Some(field) = unknown {
        return Err(ConformError::UnknownColumn(field.name().clone()));
    }
    let exact = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => cast_with_options(column, field.data_type(), &exact).map_err(|source| ConformError::Cast {
                column: field.name().clone(),
                source,
            }),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}
