use std::sync::Arc;

use forebay_catalog::Catalog;
use forebay_model::Clock;
pub use forebay_networked::settings::OnlineServingLimits as Limits;
use forebay_storage::OnlineStore;

/// What online-serving works with.
#[derive(Clone)]
pub struct Deps {
    pub catalog: Arc<Catalog>,
    pub store: Arc<dyn OnlineStore>,
    pub clock: Arc<dyn Clock>,
    pub limits: Limits,
}

pub type AppState = Arc<Deps>;
