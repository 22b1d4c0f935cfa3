//! Packed rows: the form in which rows cross every seam between validation, the row log, the sinks, the online store and serving.
//!
//! ```text
//! format u8 | flags u8 | layout u16 | event_time i64 | ingest_time i64 | sequence i64     the head, 28 bytes
//! presence bitmap, one bit per slot of the layout, bit i % 8 of byte i / 8; set: the slot has a value
//! fixed part, one field per slot in slot order, zero where the slot is null
//! heap, what variable fields refer to
//! ```
//!
//! All integers are little-endian; nothing is aligned. A field is 1 byte (bool), 4 (int32, float32, date), 8 (int64, float64, timestamp) or 16 (decimal, unscaled);
//! of string, binary, list and vector it is two u32, where the content begins, counted from the row's first byte, and its length in bytes. A vector's content is
//! its float32; a list's is described in [`list`].
//!
//! Within a generation slots are only appended, so slot `i` stands at the same distance from the start of the fixed part in every layout that has it, and is
//! null in rows of a layout that does not. Flags: bit 0 says that the row is a delete. The key is not in the row.

mod batch;
mod error;
mod hash;
mod head;
mod layouts;
pub mod list;
mod view;
mod writer;

pub use batch::{PackedRows, RowBatch};
pub use error::PackedError;
pub use hash::{canonical_hash, wins};
pub use head::{HEAD_LENGTH, RowHead, UNSET_SEQUENCE, patch_event_time, patch_ingest_time, patch_sequence};
pub use layouts::{Layouts, field_width};
pub use list::ListView;
pub use view::RowView;
pub use writer::{ListWriter, RowTooLarge, RowsWriter};

/// The version of the format that this crate writes.
pub const FORMAT: u8 = 1;

/// Bytes in a packed row.
pub const MAX_ROW_LENGTH: usize = 16 << 20;

/// `N` bytes at `at`, or `None` when there are not so many.
fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// Whether bit `index` of a bitmap is set; bits beyond its end are not.
fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}
