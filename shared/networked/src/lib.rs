//! A process over networked backends: its settings, what it refuses, opening its backends and waiting for them, following the registry, serving and
//! draining. One feature per backend, so that a service's program links those that it needs and no other.
//!
//! ```ignore
//! // services/compute/src/program.rs: what of all this the service needs
//! impl Program for Compute {
//!     const NAME: &'static str = "compute";
//!     type Settings = Settings;
//!     fn check(settings: &Settings) -> Result<(), Refused> { needs::lake(Self::NAME, &settings.lake)?; … }
//!     async fn open(settings: &Settings, process: &Process) -> Result<Service, BackendError> { … }
//! }
//!
//! // services/compute/src/main.rs
//! fn main() -> ExitCode {
//!     forebay_networked::run::<forebay_compute::Compute>(std::env::args_os())
//! }
//! ```
//!
//! `forebay` serves the same programs, and all services together over backends of its own choice ([`serve`]).

mod backend_error;
#[cfg(feature = "cassandra")]
mod cassandra;
mod command_line;
#[cfg(feature = "engine")]
mod engine;
mod failure;
mod following;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "lake")]
mod lake;
#[cfg(all(feature = "cassandra", feature = "kafka"))]
mod migrate;
mod migration;
pub mod needs;
mod process;
mod program;
mod scratch;
mod seams;
mod serve;
pub mod settings;
pub mod waiting;

pub use backend_error::BackendError;
#[cfg(feature = "cassandra")]
pub use cassandra::tables;
pub use command_line::{MigrateArgs, SettingsArgs, run};
#[cfg(feature = "engine")]
pub use engine::engine;
pub use failure::Failure;
pub use following::{Followed, follow};
#[cfg(feature = "kafka")]
pub use kafka::stream;
#[cfg(feature = "lake")]
pub use lake::{Lake, lake};
#[cfg(all(feature = "cassandra", feature = "kafka"))]
pub use migrate::migrate;
pub use migration::run_migration;
pub use needs::Refused;
pub use process::Process;
pub use program::Program;
pub use seams::{Stream, Tables};
pub use serve::{serve, serve_program};
