//! The services of one process over its backends.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_ingestion::State as Ingestion;
use forebay_server::Service;
use forebay_storage::{NothingRejected, ProcessAnnouncements};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::backends::Backends;
use crate::config::Config;

/// All services; work that takes long runs on `work`.
pub fn services(backends: &Backends, config: &Config, work: &Handle) -> Vec<Service> {
    let ingestion = Arc::new(ingestion(backends, config));
    vec![
        registry(backends, config, work),
        compute(backends, config),
        offline_query(backends, config, work, &ingestion),
        forebay_ingestion::service_of(ingestion),
        online_serving(backends, config),
    ]
}

fn registry(backends: &Backends, config: &Config, work: &Handle) -> Service {
    forebay_registry::service(forebay_registry::Deps {
        store: backends.stores.registry.clone(),
        catalog: backends.catalog.clone(),
        sources: Arc::new(backends.lake.clone()),
        online: backends.stores.online.clone(),
        offline: Arc::new(backends.lake.clone()),
        row_log: backends.stores.row_log.clone(),
        clock: backends.clock.clone(),
        work: work.clone(),
        environment: config.registry.environment.clone(),
        limits: limits(config),
        loaded: Arc::default(),
    })
}

fn compute(backends: &Backends, config: &Config) -> Service {
    forebay_compute::service(forebay_compute::Deps {
        catalog: backends.catalog.clone(),
        engine: Arc::new(backends.engine.clone()),
        offline: Arc::new(backends.lake.clone()),
        sources: Arc::new(backends.lake.clone()),
        runs: backends.stores.runs.clone(),
        claims: backends.stores.claims.clone(),
        row_log: backends.stores.row_log.clone(),
        clock: backends.clock.clone(),
        config: config.compute.clone(),
    })
}

fn ingestion(backends: &Backends, config: &Config) -> Ingestion {
    Ingestion::new(forebay_ingestion::Deps {
        catalog: backends.catalog.clone(),
        row_log: backends.stores.row_log.clone(),
        online: backends.stores.online.clone(),
        offline: Arc::new(backends.lake.clone()),
        claims: backends.stores.claims.clone(),
        leases: backends.leases.clone(),
        announcements: Arc::new(ProcessAnnouncements::default()),
        rejected: Arc::new(NothingRejected),
        process: Uuid::new_v4(),
        clock: backends.clock.clone(),
        intake: config.ingestion.clone(),
        sinks: config.sinks.clone(),
    })
}

fn online_serving(backends: &Backends, config: &Config) -> Service {
    forebay_online_serving::service(forebay_online_serving::Deps {
        catalog: backends.catalog.clone(),
        store: backends.stores.online.clone(),
        clock: backends.clock.clone(),
        limits: config.online_serving,
    })
}

fn offline_query(backends: &Backends, config: &Config, work: &Handle, ingestion: &Ingestion) -> Service {
    forebay_offline_query::service(forebay_offline_query::Deps {
        catalog: backends.catalog.clone(),
        engine: backends.engine.clone(),
        settled: ingestion.settled.clone(),
        spine_dir: backends.spines.clone(),
        clock: backends.clock.clone(),
        work: work.clone(),
        limits: config.offline_query,
    })
}

/// The limits that callers meet, as `GET /v1/info` names them.
fn limits(config: &Config) -> BTreeMap<String, u64> {
    let limits = [
        ("request_body_bytes", config.server.max_body_bytes),
        ("ingestion_body_bytes", config.ingestion.max_body_bytes),
        ("ingestion_rows", config.ingestion.max_rows),
        ("online_features", config.online_serving.features),
        ("online_entities", config.online_serving.entities),
        ("online_values", config.online_serving.values),
        ("historical_features", config.offline_query.features),
        ("historical_inline_rows", config.offline_query.inline_rows),
        ("historical_entities", config.offline_query.entities),
        ("historical_json_values", config.offline_query.json_values),
        ("spine_bytes", config.offline_query.upload_bytes),
    ];
    let limits = limits.map(|(name, limit)| (name.to_owned(), u64::try_from(limit).unwrap_or(u64::MAX)));
    let mut limits = BTreeMap::from(limits);
    limits.insert("spine_rows".to_owned(), config.offline_query.upload_rows);
    limits
}
