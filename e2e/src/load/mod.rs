//! Callers that work all the time and keep book of what they were told, and what must be true of it afterwards.

pub mod check;
pub mod ledger;
pub mod shift;
pub mod tally;
pub mod work;
