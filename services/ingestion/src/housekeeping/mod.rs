//! Housekeeping: nothing here changes an answer.

mod sweep;
mod upkeep;

pub(crate) use sweep::sweep;
pub(crate) use upkeep::upkeep;
