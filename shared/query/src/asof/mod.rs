//! The as-of (point-in-time) join as a DataFusion operator.
//!
//! For each spine row, keys and a time, it finds the row of a group's history that wins at that time
//! (DESIGN.md §3). How it goes:
//!
//! 1. `index`: the spine is read whole. Each distinct (key, time) is a *slot*; a key's slots are sorted.
//! 2. `filter`: what the index knows goes to the history's scan as a dynamic filter.
//! 3. `probe`, `candidates`, `kept`: history batches stream past the index, in parallel. A row competes
//!    in one slot, the first at or after its event time; the best row of each slot is kept.
//! 4. A slot that no row reached inherits the winner of the slot before it.
//! 5. `ties`: rows that event time and sequence do not decide are compared by the hash of the whole row.
//! 6. `answer`: the spine's batches come out with their winners' features, in order.
//!
//! Work grows with the spine and with one pass over the history's deciding columns; nothing is sorted
//! but the spine. `spill` splits both sides by key when memory runs out.

mod answer;
mod candidates;
mod exec;
mod filter;
mod index;
mod kept;
mod keys;
mod metrics;
mod probe;
mod spill;
mod stream;
mod ties;
mod time;

#[cfg(test)]
mod tests;

pub use exec::{AsOfJoinExec, Found, HistoryRoles, KnownAt, SpineRoles, TieHash, Told};
