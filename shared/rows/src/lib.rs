//! Codecs of rows: packed, JSON, Arrow and Avro.
//!
//! [`packed`] is what crosses the seams; the others are at the edges. Batch paths go column by column or straight from text to packed bytes; [`values`] is
//! for single rows and for oracles.

pub mod arrow_cast;
pub mod arrow_types;
pub mod avro;
pub mod from_arrow;
pub mod json;
pub mod key_text;
pub mod packed;
pub mod rejected;
pub mod to_arrow;
pub mod values;

pub use key_text::KeyText;
pub use packed::{Layouts, PackedError, PackedRows, RowBatch, RowHead, RowView, RowsWriter};
pub use rejected::{Reject, RejectCode};

#[cfg(test)]
mod properties;
