//! Rows that were written with a schema that this process has not learned of yet.

use std::time::Duration;

use forebay_storage::StorageError;

use crate::tables::Context;

/// How long the registry is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// After an error: if a row is newer than what the registry has told so far, the registry is asked for more, so that the row can be read then. Tells whether
/// that was it.
pub(crate) async fn learn(context: &Context, error: &StorageError) -> bool {
    let StorageError::NewerLayout { found, .. } = error else {
        return false;
    };
    tracing::info!(group = %context.name, layout = found.0, "rows are newer than the registry copy; the newer revision is fetched");
    let catalog = &context.state.deps.catalog;
    catalog
        .newer_layout(context.topic.group, *found, PATIENCE)
        .await
        .is_some()
}
