//! The registry: definitions with all their revisions, the dependency graph, plans and atomic applies, and the reconciler that
//! makes tables and topics follow.
//!
//! [`proposal`] decides what a bundle changes, [`publication`] makes it visible at once, [`reconciler`] makes its tables, [`outbox`] tells
//! everybody. Any number of registries run over one store; [`following`] keeps each of them current with the others.

mod answers;
mod bundle;
mod confluent;
mod endpoints;
mod following;
mod loading;
mod measures;
mod outbox;
#[cfg(feature = "program")]
pub mod program;
mod proposal;
mod publication;
mod reconciler;
mod refusal;
mod registry;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
};

use forebay_catalog::Catalog;
use forebay_model::Clock;
use forebay_server::{RouteLimits, Service};
use forebay_storage::{Announcements, Leases, Provision, RegistryStore, SourceTables};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use crate::measures::METRICS;
#[cfg(feature = "program")]
pub use crate::program::Program;
pub use crate::refusal::Refusal;
use crate::registry::Registry;

const ABOUT: &str = "What features there are, where they come from, and what depends on what";

/// A bundle's size in bytes: thousands of objects with long queries fit.
const MAX_BUNDLE_BYTES: usize = 16 << 20;

/// What the registry stands on.
#[derive(Clone)]
pub struct Deps {
    pub store: Arc<dyn RegistryStore>,
    /// Where it tells what it publishes, and hears what other registries do.
    pub announcements: Arc<dyn Announcements>,
    pub leases: Arc<dyn Leases>,
    /// The process's catalog; the registry publishes into it.
    pub catalog: Arc<Catalog>,
    pub sources: Arc<dyn SourceTables>,
    pub online: Arc<dyn Provision>,
    pub offline: Arc<dyn Provision>,
    pub row_log: Arc<dyn Provision>,
    pub clock: Arc<dyn Clock>,
    /// Where plans and applies run; a caller who goes away does not stop an apply halfway.
    pub work: tokio::runtime::Handle,
    /// The name of this installation's environment.
    pub environment: String,
    /// What stands before the names of topics, if anything does.
    pub topic_environment: Option<String>,
    /// Limits of the other services, for `GET /v1/info`, by the names under which they are documented.
    pub limits: BTreeMap<String, u64>,
    /// Set once the store was read; `Arc::default()`.
    pub loaded: Arc<AtomicBool>,
}

/// Reads the registry store into the catalog, so that a process answers with what is registered from its first request on.
///
/// # Errors
/// When the store does not answer, or what it holds is not what a registry writes.
pub async fn load(store: &dyn RegistryStore, catalog: &Catalog) -> Result<u64, Refusal> {
    let head = store.head().await.map_err(Refusal::store)?;
    if head.registry_revision > catalog.current().revision() {
        catalog.replace(loading::load(store, &head).await?);
    }
    Ok(head.registry_revision)
}

/// The service: its routes, and the task that keeps tables and topics in step.
pub fn service(deps: Deps) -> Service {
    measures::start();
    let catalog = Arc::clone(&deps.catalog);
    let registry = Arc::new(Registry::new(deps));
    let bundle = RouteLimits {
        max_body_bytes: Some(MAX_BUNDLE_BYTES),
        ..RouteLimits::default()
    };
    let (running, following, asked) = (Arc::clone(&registry), Arc::clone(&registry), Arc::clone(&registry));
    Service::new("registry", ABOUT, routes(), registry)
        .measured(move || catalog.measure())
        .route_limits("/v1/plan", bundle)
        .route_limits("/v1/apply", bundle)
        .task("reconciler", |stop| async move { running.run(stop).await })
        .task("following", |stop| following::follow(following, stop))
        .ready_when("registry", move || match asked.is_loaded() {
            true => Ok(()),
            false => Err("the registry store is being read".to_owned()),
        })
}

/// The routes without their state, so that the document needs no backends.
pub(crate) fn routes() -> OpenApiRouter<Arc<Registry>> {
    use endpoints::{
        apply, changes, delete_object, domains, entities, features, graph, groups, info, plan, search, snapshot,
        sources, views,
    };
    OpenApiRouter::new()
        .routes(routes!(plan::plan))
        .routes(routes!(apply::apply))
        .routes(routes!(domains::list_domains))
        .routes(routes!(domains::get_domain, delete_object::delete_domain))
        .routes(routes!(entities::list_entities))
        .routes(routes!(entities::get_entity, delete_object::delete_entity))
        .routes(routes!(sources::list_sources))
        .routes(routes!(sources::get_source, delete_object::delete_source))
        .routes(routes!(groups::list_groups))
        .routes(routes!(groups::get_group, delete_object::delete_group))
        .routes(routes!(features::list_features))
        .routes(routes!(features::get_feature))
        .routes(routes!(views::list_views))
        .routes(routes!(views::get_view, delete_object::delete_view))
        .routes(routes!(search::search))
        .routes(routes!(graph::graph))
        .routes(routes!(changes::changes))
        .routes(routes!(snapshot::snapshot))
        .routes(routes!(info::info))
        .merge(confluent::routes())
}

/// The OpenAPI document.
#[must_use]
pub fn openapi() -> serde_json::Value {
    forebay_server::document("registry", ABOUT, routes().into_openapi())
}
