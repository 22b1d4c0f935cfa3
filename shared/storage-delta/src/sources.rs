//! Delta tables of others.

use std::sync::Arc;

use datafusion::datasource::TableProvider;
use deltalake::{
    DeltaTable,
    delta_datafusion::{DeltaScanConfig, DeltaScanNext},
};
use forebay_query::OfflineTable;
use forebay_storage::{Result, SourceError, StorageError};

use crate::{LocationError, error, table::version_of};

/// A provider of a version as its writer made it: deletion vectors and column mapping are honoured, strings are plain ones.
fn provider(table: &DeltaTable) -> Result<Arc<dyn TableProvider>> {
    let config = DeltaScanConfig {
        schema_force_view_types: false,
        ..DeltaScanConfig::new().with_wrap_partition_values(false)
    };
    let snapshot = table.snapshot().map_err(error::from_delta)?.snapshot().clone();
    let scan = DeltaScanNext::new(Arc::new(snapshot), config).map_err(error::from_datafusion)?;
    Ok(Arc::new(scan))
}

pub(crate) fn opened(table: &DeltaTable) -> Result<OfflineTable> {
    Ok(OfflineTable {
        version: version_of(table),
        provider: provider(table)?,
    })
}

pub(crate) fn not_found(uri: &str) -> SourceError {
    SourceError::NotFound { uri: uri.to_owned() }
}

impl From<LocationError> for SourceError {
    fn from(error: LocationError) -> Self {
        match error {
            LocationError::NotAllowed { uri, allowed } => Self::NotAllowed { uri, allowed },
            LocationError::NotFound { uri } => Self::NotFound { uri },
            error @ LocationError::BadRoot { .. } => Self::Storage(StorageError::unavailable(crate::WHAT, error)),
        }
    }
}
