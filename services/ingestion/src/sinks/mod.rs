//! The two sinks of a group's rows: one brings the log online, the other offline. Neither waits for the other.

mod arrivals;
mod batches;
mod boundaries;
mod config;
mod fetches;
mod newer;
mod offline;
mod online;
mod online_partition;
mod ordinals;
mod rows;
mod start;
mod taken;
mod traces;

pub use config::SinksConfig;
pub(crate) use rows::run;
pub(crate) use start::online_consumer;
