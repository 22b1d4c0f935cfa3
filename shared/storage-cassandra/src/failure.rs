//! What the driver's errors mean to callers of the seams.

use forebay_storage::StorageError;
use scylla::errors::{BadQuery, DbError, ExecutionError, PrepareError, RequestAttemptError};

/// A request that did not succeed. Whether it took effect is unknown, unless [`is_invalid`] or the cluster says that too few replicas are up.
pub(crate) fn failed(what: &'static str, error: ExecutionError) -> StorageError {
    match &error {
        ExecutionError::RequestTimeout(_)
        | ExecutionError::LastAttemptError(RequestAttemptError::DbError(
            DbError::ReadTimeout { .. } | DbError::WriteTimeout { .. },
            _,
        )) => StorageError::TimedOut { what },
        ExecutionError::BadQuery(BadQuery::SerializationError(reason)) => {
            StorageError::corrupt(what, reason.to_string())
        }
        _ => StorageError::unavailable(what, error),
    }
}

/// A statement that could not be prepared.
pub(crate) fn unprepared(what: &'static str, error: PrepareError) -> StorageError {
    StorageError::unavailable(what, error)
}

/// Whether the server says that the statement makes no sense to it, which it does when a table, type or field is not there.
pub(crate) fn is_invalid(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::LastAttemptError(attempt) => attempt_is_invalid(attempt),
        ExecutionError::PrepareError(error) => prepare_is_invalid(error),
        _ => false,
    }
}

/// As [`is_invalid`], when the statement was prepared.
pub(crate) fn prepare_is_invalid(error: &PrepareError) -> bool {
    matches!(error, PrepareError::AllAttemptsFailed { first_attempt } if attempt_is_invalid(first_attempt))
}

fn attempt_is_invalid(error: &RequestAttemptError) -> bool {
    matches!(
        error,
        RequestAttemptError::DbError(DbError::Invalid | DbError::ConfigError, _)
            | RequestAttemptError::RepreparedIdChanged { .. }
    )
}
