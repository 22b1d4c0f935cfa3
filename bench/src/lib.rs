//! Forebay's benchmarks. What they found, and on which machine, is in docs/benchmarks.md.

pub mod embedded_store;
