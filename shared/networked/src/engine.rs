//! The engine of runs and historical queries.

use std::path::Path;
use std::sync::Arc;

use forebay_query::Engine;

use crate::backend_error::BackendError;
use crate::lake::Lake;
use crate::process::Process;
use crate::settings::EngineSection;

/// An engine over the lake, which spills into the data directory.
///
/// # Errors
/// When the data directory cannot be written.
pub async fn engine(
    process: &Process,
    config: &EngineSection,
    data_dir: &Path,
    lake: &Lake,
) -> Result<Engine, BackendError> {
    let settings = config.to_engine(process.scratch(data_dir).await?);
    Engine::new(settings, Arc::clone(&lake.tables)).map_err(|error| BackendError::Engine(error.to_string()))
}
