//! The seam to what runs batch queries.

mod datafusion;

use std::{collections::BTreeMap, sync::Arc};

use arrow::{array::RecordBatch, error::ArrowError};
use async_trait::async_trait;
use forebay_model::GroupSchema;
use forebay_query::{BatchQuery, QueryError};
use forebay_storage::{RowsError, TableVersion};
use futures::stream::BoxStream;

/// Makes the group's columns of a batch of the query's answer.
pub type Conform = Arc<dyn Fn(&RecordBatch) -> Result<RecordBatch, RowsError> + Send + Sync>;

/// Whose rows a query computes.
pub struct Target {
    pub schema: Arc<GroupSchema>,
    /// Whether rows that equal the group's winning ones are left out.
    pub leaves_out_known: bool,
    pub conform: Conform,
}

/// The rows that are to be written, by key and event time, each key and event time once.
pub struct Computed {
    pub rows: BoxStream<'static, Result<RecordBatch, RowsError>>,
    /// The versions read, by a source's URI or a group's name.
    pub versions: BTreeMap<String, TableVersion>,
}

/// Runs batch queries: within the process, or somewhere with more machines.
///
/// An engine holds no more memory than it is configured to, whatever the query reads and gives.
#[async_trait]
pub trait BatchEngine: Send + Sync {
    /// Starts a query whose answer becomes rows of `target`.
    ///
    /// # Errors
    /// When a table cannot be opened or the query does not fit the tables; errors of rows are in the stream, among them
    /// [`forebay_query::DuplicateRows`].
    async fn compute(&self, query: &BatchQuery, target: Target) -> Result<Computed, QueryError>;
}

/// An error of Arrow's as one of rows.
pub(crate) fn rows_error(error: ArrowError) -> RowsError {
    Box::new(error)
}
