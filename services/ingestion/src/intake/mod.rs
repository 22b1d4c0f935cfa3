//! From a request's body to rows in the log.
//!
//! A body is decoded into packed rows while it arrives ([`lines`], [`arrow_stream`]) or, where the format needs all of it, afterwards ([`json_body`],
//! [`parquet_file`]); what does not fit is kept apart ([`decoded`]). Checks and times are judged then ([`judge`]), and the good rows appended ([`append`]).

mod append;
mod arrow_stream;
mod budget;
mod checks;
mod decoded;
mod expansion;
mod format;
mod json_body;
mod judge;
mod lines;
mod options;
mod parquet_file;
mod refusal;

pub(crate) use append::{Accepted, Turn, append, claim_of, give_up, listed, replayed, unavailable};
pub(crate) use budget::Budget;
pub(crate) use decoded::{Decoded, Rejections};
pub(crate) use format::{Format, decode};
pub(crate) use judge::{check, reject_ahead, set_times, wait_for_event_times};
pub(crate) use options::IntakeOptions;
pub(crate) use refusal::Refusal;
