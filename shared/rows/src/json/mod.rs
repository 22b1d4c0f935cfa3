//! Rows and values as JSON, by the rules of the contract.
//!
//! Written: int64 as number (or string, when asked), decimals as string with all digits of their scale, dates `YYYY-MM-DD`, timestamps RFC 3339 with `Z` and no,
//! three or six digits of the second, as many as it takes, binary as base64 with padding, NaN and infinities as the strings `NaN`, `Infinity`, `-Infinity`,
//! other floats as the shortest text that reads back the same.
//!
//! Read: integers and decimals as number or string, exactly or not at all; floats as number or one of the three strings, rounded to the nearest; timestamps
//! with any offset, at most microseconds; base64 with or without padding; `null` for null.

mod array_writer;
mod columns;
mod decimal_float;
mod key;
pub mod number;
pub mod read;
mod row_reader;
pub mod scan;
mod slot_writer;
pub mod time;
pub mod write;

pub use array_writer::{ArrayWriter, WrongArray};
pub use columns::{Column, ColumnFault, ColumnReader, KeyColumn, read_column};
pub use key::write_key;
pub use row_reader::{RowDraft, RowOptions, RowReader};
pub(crate) use row_reader::{unfit_detail, unknown_field};
pub use scan::{JsonString, Scanner, SyntaxError, Token};
pub use slot_writer::SlotWriter;
pub use write::Int64As;
