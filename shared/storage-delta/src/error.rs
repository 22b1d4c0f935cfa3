use std::{error::Error, io::ErrorKind};

use deltalake::{DeltaTableError, ObjectStoreError};
use forebay_storage::StorageError;
use object_store::client::{HttpError, HttpErrorKind};

use crate::WHAT;

/// What a failure of deltalake means to callers: something vanished, the disk is full, nobody answered, or it may work later.
pub(crate) fn from_delta(error: DeltaTableError) -> StorageError {
    classify(error)
}

pub(crate) fn from_store(error: ObjectStoreError) -> StorageError {
    classify(error)
}

pub(crate) fn from_arrow(error: arrow::error::ArrowError) -> StorageError {
    StorageError::corrupt(WHAT, error.to_string())
}

pub(crate) fn from_datafusion(error: datafusion::error::DataFusionError) -> StorageError {
    classify(error)
}

pub(crate) fn from_join(error: tokio::task::JoinError) -> StorageError {
    StorageError::unavailable(WHAT, error)
}

/// Whether the server could not be asked, as opposed to: it was, and has not what was asked for.
pub(crate) fn is_outage(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if current.is::<HttpError>() || matches!(current.downcast_ref(), Some(ObjectStoreError::Generic { .. })) {
            return true;
        }
        cause = current.source();
    }
    false
}

fn classify(error: impl Error + Send + Sync + 'static) -> StorageError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(ObjectStoreError::NotFound { path, .. }) = current.downcast_ref() {
            return StorageError::Gone {
                what: WHAT,
                detail: path.clone(),
            };
        }
        if let Some(http) = current.downcast_ref::<HttpError>()
            && http.kind() == HttpErrorKind::Timeout
        {
            return StorageError::TimedOut { what: WHAT };
        }
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            match io.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => return StorageError::NoSpace { what: WHAT },
                ErrorKind::NotFound => {
                    return StorageError::Gone {
                        what: WHAT,
                        detail: io.to_string(),
                    };
                }
                _ => {}
            }
        }
        if let Some(DeltaTableError::KernelError(kernel)) = current.downcast_ref() {
            // The kernel's error type is not exported; this is how it says that a file is not there.
            let text = kernel.to_string();
            if text.starts_with("File not found") {
                return StorageError::Gone {
                    what: WHAT,
                    detail: text,
                };
            }
        }
        cause = current.source();
    }
    StorageError::unavailable(WHAT, error)
}
