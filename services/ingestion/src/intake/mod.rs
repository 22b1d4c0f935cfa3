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
mod record;
mod refusal;
mod take_in;

pub(crate) use append::{Accepted, batch_id, listed, unavailable};
use append::{Turn, append, claim_of, give_up, replayed};
pub(crate) use budget::Budget;
pub(crate) use decoded::{Decoded, Part, Rejections};
pub(crate) use format::{Format, decode, decode_json};
pub(crate) use judge::{check, wait_for_event_times};
use judge::{reject_ahead, set_times};
pub(crate) use options::IntakeOptions;
#[cfg(test)]
pub(crate) use options::UNDATED;
pub(crate) use record::decode_record;
pub(crate) use refusal::Refusal;
pub(crate) use take_in::{Taken, take_in};
