//! The data files of a table's version.

use std::collections::HashMap;

use deltalake::{DeltaTable, kernel::Add};
use forebay_storage::{Result, StorageError};
use object_store::path::Path;

use crate::{WHAT, error, location::Location, stats::FileStats};

/// Marks files that we wrote: sorted by key, event time and sequence.
pub(crate) const SORTED_TAG: &str = "forebay.sorted";

#[derive(Debug, Clone)]
pub(crate) struct DataFile {
    /// Where in the table's store it lies.
    pub(crate) path: Path,
    pub(crate) size: u64,
    pub(crate) stats: FileStats,
}

/// The files of a snapshot.
pub(crate) fn of_snapshot(root: &Location, table: &DeltaTable) -> Result<Vec<DataFile>> {
    let snapshot = table.snapshot().map_err(error::from_delta)?;
    let log = snapshot.snapshot().try_log_data().map_err(error::from_delta)?;
    log.iter()
        .map(|file| {
            if file.deletion_vector_descriptor().is_some() {
                return Err(no_deletion_vectors(root));
            }
            Ok(DataFile {
                path: resolve(root, &file.path())?,
                size: u64::try_from(file.size()).unwrap_or_default(),
                stats: FileStats::parse(file.stats().as_deref()),
            })
        })
        .collect()
}

/// The file that a log entry adds.
pub(crate) fn of_add(root: &Location, add: &Add) -> Result<DataFile> {
    if add.deletion_vector.is_some() {
        return Err(no_deletion_vectors(root));
    }
    Ok(DataFile {
        path: resolve(root, &add.path)?,
        size: u64::try_from(add.size).unwrap_or_default(),
        stats: FileStats::parse(add.stats.as_deref()),
    })
}

/// The log entries of files that we write say how they are sorted.
pub(crate) fn mark_sorted(add: &mut Add, columns: &[String]) {
    add.tags
        .get_or_insert_with(HashMap::new)
        .insert(SORTED_TAG.to_owned(), Some(columns.join(",")));
}

fn resolve(root: &Location, path: &str) -> Result<Path> {
    root.object(path)
        .ok_or_else(|| StorageError::corrupt(WHAT, format!("the table at {root} names a file outside its folder")))
}

fn no_deletion_vectors(root: &Location) -> StorageError {
    StorageError::corrupt(
        WHAT,
        format!(
            "the table at {root} has deletion vectors, which groups' tables must not have: rewrite it without them"
        ),
    )
}
