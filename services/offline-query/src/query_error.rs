//! The engine's errors as problems.

use datafusion::error::DataFusionError;
use forebay_api::{Code, Problem};
use forebay_query::QueryError;
use forebay_server::ApiError;
use forebay_storage::SourceError;

use crate::request::refuse;

/// An error of a query, whose spine stands at `pointer`.
pub fn problem(error: QueryError, pointer: &str) -> ApiError {
    match error {
        QueryError::Table(SourceError::NotAllowed { .. }) => {
            refuse(Code::LocationNotAllowed, pointer, error.to_string())
        }
        QueryError::Table(SourceError::NotFound { .. }) => refuse(Code::SourceNotFound, pointer, error.to_string()),
        QueryError::Table(SourceError::Storage(source)) => {
            ApiError::unavailable("the offline store does not answer", source)
        }
        QueryError::Engine(error) => engine(error, pointer),
    }
}

fn engine(error: DataFusionError, pointer: &str) -> ApiError {
    match error.find_root() {
        DataFusionError::Plan(detail) => refuse(Code::InvalidValue, pointer, detail.clone()),
        DataFusionError::ResourcesExhausted(_) => {
            let detail = "the queries under way need more memory or disk than they may use; ask for less at once, or again later";
            ApiError::from(Problem::new(Code::Overloaded, detail).retry_after(5)).caused_by(error)
        }
        // Of the store's error Parquet's reader keeps only the text.
        DataFusionError::ParquetError(cause) if cause.to_string().contains("Object Store error") => {
            ApiError::unavailable("the offline store does not answer", error)
        }
        DataFusionError::ParquetError(_) | DataFusionError::ArrowError(_, _) => refuse(
            Code::InvalidValue,
            pointer,
            format!("it cannot be read: {}", error.strip_backtrace()),
        ),
        DataFusionError::ObjectStore(cause) if cause.to_string().contains("not found") => {
            refuse(Code::SourceNotFound, pointer, "there is no such file")
        }
        DataFusionError::ObjectStore(_) => ApiError::unavailable("the offline store does not answer", error),
        _ => ApiError::internal(error),
    }
}
