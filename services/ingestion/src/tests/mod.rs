#![allow(clippy::unwrap_used)]

mod followers;
mod sinks;
mod upkeep;
mod world;
