//! What must work, one story per file.

pub mod errors;
pub mod feast;
pub mod history;
pub mod hostile;
pub mod ingest;
pub mod outsiders;
pub mod parity;
pub mod pressure;
pub mod registry;
pub mod runs;
pub mod serving;
pub mod telemetry;
pub mod topic_made_again;
pub mod tour;
