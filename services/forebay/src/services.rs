//! All services in one process, over any mixture of backends: each is put together by its own crate, as in a process of its own.

use std::sync::Arc;

use forebay_networked::{Process, engine, lake};
use forebay_server::Service;
use forebay_storage::SettledTime;
use tokio::try_join;

use crate::backends::{BackendError, Backends};
use crate::config::Config;

/// All services share one catalog, which the registry among them keeps.
///
/// # Errors
/// When a backend cannot be opened, and waiting for it does not help.
pub async fn all(config: &Config, backends: &Backends<'_>, process: &Process) -> Result<Vec<Service>, BackendError> {
    let data_dir = config.storage.data_dir.as_path();
    let lake = async { Ok(lake(process, &config.lake, &config.registry, Some(data_dir)).await?) };
    let (tables, stream, lake) = try_join!(backends.tables(process), backends.stream(process), lake)?;
    let engine = engine(process, &config.engine, data_dir, &lake).await?;
    let catalog = forebay_registry::program::read(process, &tables).await?;

    let Config { ingestion, sinks, .. } = config;
    let ingestion = forebay_ingestion::program::compose(process, ingestion, sinks, &catalog, &tables, &stream, &lake);
    let settled: Arc<dyn SettledTime> = ingestion.settled.clone();
    let limits = forebay_registry::program::limits(
        &config.server,
        &config.ingestion,
        &config.online_serving,
        &config.offline_query,
    );
    Ok(vec![
        forebay_registry::program::compose(process, &config.registry, limits, &catalog, &tables, &stream, &lake),
        forebay_compute::program::compose(process, &config.compute, &catalog, &tables, &stream, &lake, &engine),
        forebay_offline_query::program::compose(
            process,
            config.offline_query,
            data_dir,
            &catalog,
            &lake,
            &engine,
            settled,
        ),
        forebay_ingestion::service_of(Arc::new(ingestion)),
        forebay_online_serving::program::compose(process, config.online_serving, &catalog, &tables),
    ])
}
