//! The tables that queries read: the seam between the engine and the lake.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::datasource::TableProvider;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::ObjectStore;
use forebay_model::GroupSchema;
use forebay_storage::{SourceError, TableVersion};

/// One version of a table, ready to be scanned.
#[derive(Debug, Clone)]
pub struct OfflineTable {
    pub version: TableVersion,
    pub provider: Arc<dyn TableProvider>,
}

/// Roots of object stores by URL (`s3://bucket/`).
pub type ObjectStores = Vec<(ObjectStoreUrl, Arc<dyn ObjectStore>)>;

/// Opens tables for reading. A table that was opened keeps its version, whatever is committed meanwhile.
///
/// Scans prune files and row groups by their filters, statically and by dynamic filters, and read the columns they are asked for.
#[async_trait]
pub trait OfflineTables: Send + Sync {
    /// A group's rows as they are stored, inadmissible ones included: exactly the keys, `event_time`, `ingest_time`, `_sequence`, the features of all the
    /// schema's slots in their order (hidden ones too, absent ones null), and `_deleted`, with the types of `forebay_rows::arrow_types`.
    ///
    /// # Errors
    /// [`SourceError::Storage`] before the table was made, and when it or the version cannot be read.
    async fn group(
        &self,
        schema: &Arc<GroupSchema>,
        version: Option<TableVersion>,
    ) -> Result<OfflineTable, SourceError>;

    /// Somebody else's Delta table, with the columns it has.
    ///
    /// # Errors
    /// [`SourceError::NotAllowed`] outside the configured roots, [`SourceError::NotFound`], [`SourceError::Storage`].
    async fn source(&self, uri: &str, version: Option<TableVersion>) -> Result<OfflineTable, SourceError>;

    /// The full URL (`file:///…`) of a file or folder that a request names, relative to the lake's root or under another configured one. Nothing is
    /// opened; it may not exist.
    ///
    /// # Errors
    /// [`SourceError::NotAllowed`] outside the configured roots, also by way of `..` or links.
    fn locate(&self, uri: &str) -> Result<String, SourceError>;

    /// The object stores that tables and files lie in, besides the local disk. The engine reads from them with the credentials they were made with.
    fn object_stores(&self) -> ObjectStores {
        Vec::new()
    }
}
