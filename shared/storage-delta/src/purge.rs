//! Removing a table with all that was ever written for it.

use std::io::ErrorKind;

use forebay_storage::{Result, StorageError};
use futures::{StreamExt, TryStreamExt};
use object_store::{Error, path::Path};

use crate::{WHAT, error, location::Location};

pub(crate) async fn purge(table: &Location) -> Result<()> {
    match table.local() {
        Some(folder) => match tokio::fs::remove_dir_all(folder).await {
            Err(failure) if failure.kind() != ErrorKind::NotFound => Err(StorageError::unavailable(WHAT, failure)),
            _ => Ok(()),
        },
        None => {
            // The log goes first: what is left of a purge that was cut short is no table.
            let log = table.path().clone().join("_delta_log");
            remove(table, &log).await?;
            remove(table, table.path()).await
        }
    }
}

async fn remove(table: &Location, prefix: &Path) -> Result<()> {
    let found = table
        .store()
        .list(Some(prefix))
        .map_ok(|object| object.location)
        .boxed();
    let mut removed = table.store().delete_stream(found);
    while let Some(removed) = removed.next().await {
        match removed {
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(failure) => return Err(error::from_store(failure)),
        }
    }
    Ok(())
}
