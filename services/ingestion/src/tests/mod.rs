#![allow(clippy::unwrap_used)]

mod followers;
mod repeats;
mod replicas;
mod sinks;
mod upkeep;
pub(crate) mod world;
