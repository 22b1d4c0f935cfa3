//! A data directory: all embedded stores of one process, behind one lock.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use forebay_storage::StorageError;

use crate::{
    EmbeddedClaimStore, EmbeddedOnlineStore, EmbeddedRegistryStore, EmbeddedRowLog, EmbeddedRunStore, OnlineOptions,
    RowLogOptions, state::State,
};

/// Bounds of the embedded stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    pub online: OnlineOptions,
    pub row_log: RowLogOptions,
}

/// The stores in one data directory. The directory is free for another process when this and every store taken from it are dropped.
pub struct EmbeddedStores {
    pub online: Arc<EmbeddedOnlineStore>,
    pub row_log: Arc<EmbeddedRowLog>,
    pub registry: Arc<EmbeddedRegistryStore>,
    pub runs: Arc<EmbeddedRunStore>,
    pub claims: Arc<EmbeddedClaimStore>,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data directory {directory} is in use by another process{owner}; stop it, or choose another directory")]
    InUse { directory: PathBuf, owner: String },
    #[error("the data directory {directory} cannot be used: {source}; check that it may be written to")]
    Io { directory: PathBuf, source: std::io::Error },
    #[error("the stores in {directory} cannot be opened: {source}")]
    Store { directory: PathBuf, source: StorageError },
}

/// The lock on a data directory, which ends with the process however that ends.
pub(crate) struct DirectoryLock {
    _file: File,
}

impl EmbeddedStores {
    /// Opens the stores in `directory`, making them if they are not there: `LOCK`, `online/`, `state/`, `log/`. Takes no longer for more data.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(directory: &Path, options: Options) -> Result<Self, OpenError> {
        let lock = Arc::new(DirectoryLock::acquire(directory)?);
        let failed = |source| OpenError::Store {
            directory: directory.to_owned(),
            source,
        };
        let state = State::open(&directory.join("state"), lock.clone()).map_err(failed)?;
        let row_log =
            EmbeddedRowLog::open_locked(&directory.join("log"), options.row_log, lock.clone()).map_err(failed)?;
        let online =
            EmbeddedOnlineStore::open_locked(&directory.join("online"), options.online, lock).map_err(failed)?;
        Ok(Self {
            online: Arc::new(online),
            row_log: Arc::new(row_log),
            registry: Arc::new(EmbeddedRegistryStore(state.clone())),
            runs: Arc::new(EmbeddedRunStore(state.clone())),
            claims: Arc::new(EmbeddedClaimStore(state)),
        })
    }
}

impl DirectoryLock {
    fn acquire(directory: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io {
            directory: directory.to_owned(),
            source,
        };
        std::fs::create_dir_all(directory).map_err(io)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join("LOCK"))
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                // Only to be helpful: the owner may be writing it this moment.
                let _ = file.read_to_string(&mut process);
                let process = process.trim();
                let owner = if process.is_empty() {
                    String::new()
                } else {
                    format!(" (process {process})")
                };
                return Err(OpenError::InUse {
                    directory: directory.to_owned(),
                    owner,
                });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}
