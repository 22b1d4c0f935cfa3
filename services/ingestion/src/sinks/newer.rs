//! Rows that were written with a schema that this process has not learned of yet.

use std::time::Duration;

use forebay_storage::StorageError;
use tokio::time::Instant;

use crate::tables::Context;

/// How long the registry is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// After an error: if a row is newer than what the registry has told so far, the registry is asked for more, so that the row can be read then. Tells whether to
/// try again at once.
///
/// Only when the registry has answered and knows of no such schema is the record given up as a row, and set aside. While it does not answer the row waits: no
/// value is ever dropped.
pub(crate) async fn learn(context: &Context, error: &StorageError) -> bool {
    let StorageError::NewerLayout { found, .. } = error else {
        return false;
    };
    tracing::info!(group = %context.name, layout = found.0, "rows are newer than the registry copy; the newer revision is fetched");
    let deps = &context.state.deps;
    let asked = Instant::now();
    let newer = deps.catalog.newer_layout(context.topic.group, *found, PATIENCE).await;
    if newer.is_some() {
        return true;
    }
    let Some(group) = context.group().filter(|_| deps.catalog.answered_since(asked)) else {
        return false;
    };
    tracing::warn!(group = %context.name, layout = found.0, "the registry knows of no such schema; records that name it are set aside");
    deps.row_log.no_such_layout(&group.schema, *found);
    true
}
