use std::{path::PathBuf, sync::Arc};

use forebay_catalog::Catalog;
use forebay_model::Clock;
pub use forebay_networked::settings::OfflineQueryLimits as Limits;
use forebay_query::Engine;
use forebay_storage::SettledTime;
use tokio::runtime::Handle;

use crate::{
    measures::Measures,
    uploads::{SpineFolder, Uploads},
};

/// What offline-query works with.
#[derive(Clone)]
pub struct Deps {
    pub catalog: Arc<Catalog>,
    pub engine: Engine,
    pub settled: Arc<dyn SettledTime>,
    /// Where uploaded spines are kept until they expire, in reach of every copy of the service and of its engine.
    pub spines: SpineFolder,
    /// The folder for uploads that are not complete yet, on this machine; made when it is missing.
    pub scratch: PathBuf,
    pub clock: Arc<dyn Clock>,
    /// The runtime for work: queries run there, not on the one that answers requests.
    pub work: Handle,
    pub limits: Limits,
}

/// The state of the endpoints.
pub struct State {
    pub deps: Deps,
    pub uploads: Uploads,
    pub(crate) measures: Arc<Measures>,
}

pub type AppState = Arc<State>;
