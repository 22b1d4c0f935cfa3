//! The two sinks of a group's rows: one brings the log online, the other offline. Neither waits for the other.

mod batches;
mod boundaries;
mod config;
mod offline;
mod online;
mod rows;
mod start;
mod taken;

pub use config::SinksConfig;
pub(crate) use rows::run;
