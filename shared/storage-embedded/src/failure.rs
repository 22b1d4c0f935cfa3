//! Errors of the file system as errors of a store.

use std::io::{self, ErrorKind};

use forebay_storage::StorageError;

/// A failed file operation of the store `what`: a full disk, quota or file size limit is [`StorageError::NoSpace`], so that callers can tell people what to do.
pub(crate) fn io(what: &'static str, error: io::Error) -> StorageError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StorageError::NoSpace { what },
        _ => StorageError::unavailable(what, error),
    }
}
