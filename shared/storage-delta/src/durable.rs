//! Local files reach the disk before anybody relies on them: the row log drops what a commit holds.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use forebay_storage::{Result, StorageError};

use crate::{WHAT, error};

/// Forces files, and the folders that name them, to the disk.
pub(crate) async fn sync_files(paths: Vec<PathBuf>) -> Result<()> {
    tokio::task::spawn_blocking(move || sync_all(&paths))
        .await
        .map_err(error::from_join)?
        .map_err(|failure| StorageError::unavailable(WHAT, failure))
}

fn sync_all(paths: &[PathBuf]) -> io::Result<()> {
    for path in paths {
        File::open(path)?.sync_all()?;
    }
    let mut folders: Vec<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
    folders.sort_unstable();
    folders.dedup();
    folders
        .into_iter()
        .try_for_each(|folder| File::open(folder)?.sync_all())
}
