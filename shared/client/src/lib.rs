//! A client of Forebay's REST interface, for the command line, tests and other programs.
//!
//! Every method is one call with the types of `forebay-api`. Calls that were refused (429, 503) are repeated after the
//! time that the server asks for; changes carry an `Idempotency-Key`, so that a repeat adds nothing.

mod call;
mod client;
mod error;
mod events;
mod features;
mod registry;
mod retry;
mod rows;
mod runs;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use error::ClientError;
pub use registry::Collection;
pub use retry::Retry;
