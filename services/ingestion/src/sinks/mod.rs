//! The two sinks of a group's rows: one brings the log online, the other offline. Neither waits for the other.

mod arrivals;
mod batch_table;
mod batches;
mod boundaries;
mod config;
mod fetches;
mod newer;
mod note;
mod offline;
mod online;
mod online_partition;
mod ordinals;
mod recall;
mod remembered;
mod rows;
mod start;
mod taken;
mod traces;

pub use config::SinksConfig;
pub(crate) use remembered::Remembered;
pub(crate) use rows::run;
pub(crate) use start::online_consumer;
#[cfg(test)]
pub(crate) use start::start;
