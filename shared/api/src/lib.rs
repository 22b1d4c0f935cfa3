//! What travels over HTTP: requests, responses and problems, one file per endpoint.
//!
//! The types have serde always and utoipa schemas with the feature `openapi`; they know nothing of a server or a client.

pub mod apply;
pub mod changes;
mod code;
pub mod definitions;
pub mod get_online_features;
pub mod graph;
pub mod historical_features;
pub mod imports;
pub mod info;
pub mod online_features;
mod page;
mod problem;
pub mod receipts;
pub mod rejected;
pub mod rows;
pub mod runs;
pub mod schedule;
pub mod schema_registry;
pub mod search;
pub mod spines;

pub use code::Code;
pub use page::Page;
pub use problem::{MAX_ERRORS, PROBLEM_JSON, Problem, ProblemError, push_pointer};
