//! Queries over the lake: the engine, the as-of join, and what its tables are called in SQL.
//!
//! [`Engine`] bounds what queries use. [`Engine::run_batch`] runs a group's batch query, [`Engine::run_historical`] joins groups to a spine. Both read
//! through [`OfflineTables`].

mod as_of_input;
pub mod asof;
mod batch_query;
mod engine;
#[cfg(test)]
mod expression_parity;
mod group_history;
mod historical;
mod in_order;
#[cfg(any(test, feature = "testing"))]
pub mod memory_tables;
mod moments;
mod offline_tables;
mod spine_files;
#[cfg(test)]
mod tests;
mod tie_hash;
mod unseen_rows;
mod winning_rows;

pub use as_of_input::{AsOfInput, InputGroup};
pub use batch_query::{BatchQuery, BatchRows, BatchTable, InputFeature, QueryError};
pub use engine::{Engine, EngineConfig, METRICS};
pub use group_history::GroupHistory;
pub use historical::{AskedGroup, HistoricalQuery, KeyFilter, KnownTo, Spine};
pub use in_order::InOrderExec;
pub use offline_tables::{ObjectStores, OfflineTable, OfflineTables};
pub use spine_files::FileKind;
pub use unseen_rows::DuplicateRows;
pub use winning_rows::WinningRows;
