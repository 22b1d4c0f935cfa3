//! Why a task failed, and whether another attempt may help.

use datafusion::error::DataFusionError;
use forebay_query::QueryError;
use forebay_storage::{AppendError, RowsError, SourceError, StorageError};

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// For whoever started the run.
    pub message: String,
    /// The same attempt may succeed later.
    pub is_passing: bool,
}

impl Failure {
    pub fn lasting(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_passing: false,
        }
    }

    pub fn passing(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_passing: true,
        }
    }

    /// Of rows that could not be made; what they were made by is among the sources.
    pub fn of_rows(error: &RowsError) -> Self {
        let message = error.to_string();
        match error.downcast_ref::<DataFusionError>() {
            Some(error) => Self::of_engine(error),
            None => match error.downcast_ref::<StorageError>() {
                Some(_) => Self::passing(message),
                None => Self::lasting(message),
            },
        }
    }

    pub fn of_engine(error: &DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::External(inner) => Self {
                message: inner.to_string(),
                is_passing: inner.downcast_ref::<StorageError>().is_some(),
            },
            root @ (DataFusionError::IoError(_)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::ResourcesExhausted(_)) => Self::passing(root.strip_backtrace()),
            root => Self::lasting(root.strip_backtrace()),
        }
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::passing(error.to_string())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Storage(error) => error.into(),
            other => Self::lasting(other.to_string()),
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Table(error) => error.into(),
            QueryError::Engine(error) => Self::of_engine(&error),
        }
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Rows(error) => Self::of_rows(&error),
            other => Self::passing(other.to_string()),
        }
    }
}
