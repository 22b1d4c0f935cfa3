//! The engine of runs and historical queries.

use std::sync::Arc;

use forebay_query::Engine;

use super::scratch::Scratch;
use super::{BackendError, Lake};
use crate::config::Config;

pub fn start(config: &Config, lake: &Lake, scratch: &Scratch) -> Result<Engine, BackendError> {
    let settings = config.engine.to_engine(scratch.folder());
    Engine::new(settings, Arc::clone(&lake.tables)).map_err(|error| BackendError::Engine(error.to_string()))
}
