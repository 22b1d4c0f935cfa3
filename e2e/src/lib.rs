//! Tests from end to end: scenarios against a base URL, and what runs them.
//!
//! A scenario speaks HTTP alone and makes its own domains, so that it runs on any installation: one process with embedded storage, the services as
//! processes of their own, one process over their backends. What a scenario expects comes from [`oracle`], which knows the rules and none of the code.

// What fails here fails the test: a panic with the server's answer in it is the best report there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod binary;
pub mod chaos;
pub mod cluster;
pub mod collector;
pub mod files;
pub mod http;
pub mod kills;
pub mod lake;
pub mod load;
pub mod oracle;
pub mod process;
pub mod proxy;
pub mod python;
pub mod scenarios;
pub mod stage;
pub mod suite;
pub mod times;
