//! The routes of a process, which are others once it has started.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;

/// What answers requests at the moment. Connections outlive a change of it.
#[derive(Clone)]
pub(crate) struct Roof(Arc<ArcSwap<Router>>);

impl Roof {
    pub fn new(router: Router) -> Self {
        Roof(Arc::new(ArcSwap::from_pointee(router)))
    }

    /// From the next request on, these routes answer.
    pub fn replace(&self, router: Router) {
        self.0.store(Arc::new(router));
    }

    /// The routes for one request.
    pub fn router(&self) -> Router {
        Router::clone(&self.0.load())
    }
}
