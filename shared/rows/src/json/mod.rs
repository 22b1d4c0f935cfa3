//! Rows and values as JSON, by the rules of the contract.
//!
//! Written: int64 as number (or string, when asked), decimals as string with all digits of their scale, dates `YYYY-MM-DD`, timestamps RFC 3339 with `Z` and no,
//! three or six digits of the second, as many as it takes, binary as base64 with padding, NaN and infinities as the strings `NaN`, `Infinity`, `-Infinity`,
//! other floats as the shortest text that reads back the same.
//!
//! Read: integers and decimals as number or string, exactly or not at all; floats as number or one of the three strings, rounded to the nearest; timestamps
//! with any offset, at most microseconds; base64 with or without padding; `null` for null.

mod slot_writer;
pub mod write;

pub use slot_writer::SlotWriter;
pub use write::Int64As;
