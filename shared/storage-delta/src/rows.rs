//! Streams of a table's rows outside of any query.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::{
    execution::TaskContext,
    prelude::{SessionConfig, SessionContext},
};
use forebay_storage::{Result, RowsOut};
use futures::StreamExt;

use crate::{
    error,
    files::DataFile,
    location::Location,
    provider::{Scan, scan_files},
};

/// Rows in one batch.
const BATCH: usize = 8_192;

/// Reads files one after the other, holding little of them in memory.
pub(crate) fn stream(location: &Location, schema: &SchemaRef, files: &[DataFile]) -> Result<RowsOut> {
    let plan = scan_files(
        schema,
        files,
        Scan {
            store: location.store_url(),
            projection: None,
            predicate: None,
            limit: None,
            partitions: 1,
            options: Default::default(),
        },
    )
    .map_err(error::from_datafusion)?;
    let batches = plan.execute(0, context(location)).map_err(error::from_datafusion)?;
    Ok(batches.map(|batch| batch.map_err(error::from_datafusion)).boxed())
}

fn context(location: &Location) -> Arc<TaskContext> {
    let config = SessionConfig::new().with_batch_size(BATCH).with_target_partitions(1);
    let context = SessionContext::new_with_config(config);
    location.register(&context.runtime_env());
    context.task_ctx()
}
