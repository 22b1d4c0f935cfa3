//! The content of a list in a packed row:
//!
//! ```text
//! count u32 | presence bitmap of the elements | elements, as wide as in a row's fixed part, zero where null
//! ```
//!
//! Of strings and binaries the elements are `count` u32, where each ends in the bytes that follow them.

use forebay_model::DataType;

use super::{PackedError, bit, chunk, field_width};

const CORRUPT: PackedError = PackedError::Corrupt("a list does not hold what it says");

/// Bytes per element before the content: an end for strings and binaries.
pub(crate) const fn element_width(element: &DataType) -> usize {
    match element {
        DataType::String | DataType::Binary => 4,
        scalar => field_width(scalar),
    }
}

/// A list in a packed row, opened. Reading an element as a type that it does not have gives some value, never a panic.
#[derive(Debug, Clone, Copy)]
pub struct ListView<'a> {
    count: usize,
    width: usize,
    bitmap: &'a [u8],
    elements: &'a [u8],
    content: &'a [u8],
}

impl<'a> ListView<'a> {
    /// # Errors
    /// [`PackedError::Corrupt`] when the content is no list of such elements.
    pub fn open(list: &'a [u8], element: &DataType) -> Result<Self, PackedError> {
        let (count, rest) = list.split_first_chunk::<4>().ok_or(CORRUPT)?;
        let count = u32::from_le_bytes(*count) as usize;
        let (bitmap, rest) = rest.split_at_checked(count.div_ceil(8)).ok_or(CORRUPT)?;
        let width = element_width(element);
        let (elements, content) = count
            .checked_mul(width)
            .and_then(|length| rest.split_at_checked(length))
            .ok_or(CORRUPT)?;
        Ok(Self {
            count,
            width,
            bitmap,
            elements,
            content,
        })
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[must_use]
    pub fn is_present(&self, index: usize) -> bool {
        bit(self.bitmap, index)
    }

    #[must_use]
    pub fn bool(&self, index: usize) -> bool {
        self.element::<1>(index) != [0]
    }

    #[must_use]
    pub fn i32(&self, index: usize) -> i32 {
        i32::from_le_bytes(self.element(index))
    }

    #[must_use]
    pub fn i64(&self, index: usize) -> i64 {
        i64::from_le_bytes(self.element(index))
    }

    #[must_use]
    pub fn f32(&self, index: usize) -> f32 {
        f32::from_le_bytes(self.element(index))
    }

    #[must_use]
    pub fn f64(&self, index: usize) -> f64 {
        f64::from_le_bytes(self.element(index))
    }

    #[must_use]
    pub fn decimal(&self, index: usize) -> i128 {
        i128::from_le_bytes(self.element(index))
    }

    /// # Errors
    /// [`PackedError::Corrupt`] when the element lies outside the list.
    pub fn bytes(&self, index: usize) -> Result<&'a [u8], PackedError> {
        let end = |index| u32::from_le_bytes(self.element(index)) as usize;
        let start = index.checked_sub(1).map_or(0, end);
        self.content.get(start..end(index)).ok_or(CORRUPT)
    }

    /// # Errors
    /// [`PackedError::Corrupt`] when the element lies outside the list or is not UTF-8.
    pub fn str(&self, index: usize) -> Result<&'a str, PackedError> {
        std::str::from_utf8(self.bytes(index)?).map_err(|_| PackedError::Corrupt("a string is not UTF-8"))
    }

    fn element<const N: usize>(&self, index: usize) -> [u8; N] {
        chunk(self.elements, index * self.width).unwrap_or([0; N])
    }
}
