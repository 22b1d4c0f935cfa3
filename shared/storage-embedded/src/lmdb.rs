//! LMDB as both stores use it: one environment per folder, opened once, and its errors as errors of a store.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, time::Duration};

use forebay_storage::{Result, StorageError};
use heed::{Env, EnvOpenOptions, MdbError};

use crate::failure;

/// Threads that may read at the same moment; every thread that ever read counts until it ends.
const READERS: u32 = 2_048;

/// How long an environment that nobody uses any more may take to be closed.
const CLOSES_WITHIN: Duration = Duration::from_secs(10);

/// Opens the environment in `folder`, making it if it is not there. `map_bytes` is the most it can ever hold; only what is used takes space.
///
/// LMDB maps the file, so nobody else may truncate or rewrite it while it is open; the data directory's lock sees to that.
#[allow(
    unsafe_code,
    reason = "LMDB cannot be opened otherwise; the data directory's lock keeps other processes away"
)]
pub(crate) fn open(what: &'static str, folder: &Path, map_bytes: usize, databases: u32) -> Result<Env> {
    std::fs::create_dir_all(folder).map_err(|error| failure::io(what, error))?;
    wait_until_closed(folder);
    let mut options = EnvOpenOptions::new();
    options.map_size(map_bytes).max_dbs(databases).max_readers(READERS);
    unsafe { options.open(folder) }.map_err(|error| failed(what, error))
}

/// A store of this process that was dropped a moment ago: a thread that has just answered for it may hold it a little longer.
fn wait_until_closed(folder: &Path) {
    let Ok(folder) = folder.canonicalize() else {
        return;
    };
    if let Some(closing) = heed::env_closing_event(folder) {
        closing.wait_timeout(CLOSES_WITHIN);
    }
}

/// An error of a commit. LMDB says of a disk that became full in the middle of a write only that it failed; then one more page is tried after the end of
/// the file, where LMDB does not mind it, to learn why.
pub(crate) fn commit_failed(what: &'static str, env: &Env, error: heed::Error) -> StorageError {
    /// `EIO`
    const FAILED: i32 = 5;
    if !matches!(&error, heed::Error::Io(error) if error.raw_os_error() == Some(FAILED)) {
        return failed(what, error);
    }
    match append_page(&env.path().join("data.mdb")) {
        Ok(()) => failed(what, error),
        Err(reason) => failure::io(what, reason),
    }
}

fn append_page(file: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(file)?;
    let end = file.metadata()?.len();
    file.write_all_at(&[0; 4096], end)?;
    file.sync_data()
}

/// An error of LMDB: a full disk and a full map are [`StorageError::NoSpace`], damage is [`StorageError::Corrupt`].
pub(crate) fn failed(what: &'static str, error: heed::Error) -> StorageError {
    match error {
        heed::Error::Io(error) => failure::io(what, error),
        heed::Error::Mdb(MdbError::MapFull) => StorageError::NoSpace { what },
        heed::Error::Mdb(error @ (MdbError::Corrupted | MdbError::PageNotFound | MdbError::Invalid)) => {
            StorageError::corrupt(what, format!("{error}; restore it from a backup"))
        }
        heed::Error::Decoding(error) => StorageError::corrupt(what, error.to_string()),
        error => StorageError::unavailable(what, error),
    }
}
