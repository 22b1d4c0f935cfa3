//! What a service hands to the server: its routes, their document and its background tasks.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use crate::config::RouteLimits;
use crate::openapi;
use crate::telemetry::Measure;

/// One service. Several of them make up one process: no two share a path.
pub struct Service {
    pub(crate) name: &'static str,
    pub(crate) router: Router,
    pub(crate) document: Value,
    pub(crate) limits: HashMap<String, RouteLimits>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) checks: Vec<ReadyCheck>,
    pub(crate) measures: Vec<Measure>,
}

/// Work in the background, on the runtime for work.
pub(crate) struct Task {
    pub name: &'static str,
    pub run: Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>,
}

/// Whether a part of a service can do its work; otherwise why not.
#[derive(Clone)]
pub(crate) struct ReadyCheck {
    pub name: &'static str,
    pub check: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Service {
    /// A service from its routes and the state that they need. `name` is the one in `/openapi/{name}.json`, and
    /// `about` what the document says of the service.
    pub fn new<S>(name: &'static str, about: &str, routes: OpenApiRouter<S>, state: S) -> Self
    where
        S: Clone + Send + Sync + 'static,
    {
        let (router, openapi) = routes.split_for_parts();
        Service {
            name,
            router: router.with_state(state),
            document: openapi::document(name, about, openapi),
            limits: HashMap::new(),
            tasks: Vec::new(),
            checks: Vec::new(),
            measures: Vec::new(),
        }
    }

    /// Tells gauges, at each scrape of /metrics: a gauge that is not told again disappears. It must not block.
    pub fn measured(mut self, measure: impl Fn() + Send + Sync + 'static) -> Self {
        self.measures.push(Arc::new(measure));
        self
    }

    /// Other limits than the server's for one route, given as in its declaration: `/v1/rows/{group}`.
    pub fn route_limits(mut self, path: &str, limits: RouteLimits) -> Self {
        self.limits.insert(path.to_owned(), limits);
        self
    }

    /// A task that runs until its token is cancelled, which happens once all requests are answered. It then has until
    /// the drain deadline to finish. A task that ends or panics before that makes the service unready.
    pub fn task<F, Fut>(mut self, name: &'static str, run: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.tasks.push(Task {
            name,
            run: Box::new(move |stop| Box::pin(run(stop))),
        });
        self
    }

    /// A condition of /readyz; `Err` says what is missing. It is asked often and must not wait.
    pub fn ready_when<F>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Result<(), String> + Send + Sync + 'static,
    {
        self.checks.push(ReadyCheck {
            name,
            check: Arc::new(check),
        });
        self
    }

    /// The name in `/openapi/{name}.json`.
    pub fn name(&self) -> &'static str {
        self.name
    }
}
