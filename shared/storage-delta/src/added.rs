//! The rows that one version added.

use forebay_model::GroupSchema;
use forebay_storage::{Result, RowsOut, StorageError, TableVersion};
use object_store::ObjectStoreExt;

use crate::{
    columns, error,
    files::{self, DataFile},
    log::Entry,
    rows,
    table::Table,
};

/// `None` when the log entry or a file is gone.
pub(crate) async fn added_rows(table: &Table, schema: &GroupSchema, version: TableVersion) -> Result<Option<RowsOut>> {
    let Some(newest) = table.newest().await? else {
        return Err(StorageError::NotProvisioned {
            what: crate::WHAT,
            group: schema.name.clone(),
        });
    };
    let Some(entry) = Entry::read(&newest, version).await? else {
        return Ok(None);
    };
    let files: Vec<DataFile> = entry
        .added
        .iter()
        .map(|add| files::of_add(&table.location, add))
        .collect::<Result<_>>()?;
    for file in &files {
        match table.location.store().head(&file.path).await {
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(failure) => return Err(error::from_store(failure)),
        }
    }
    Ok(Some(rows::stream(
        &table.location,
        &columns::arrow_schema(schema),
        &files,
    )?))
}
