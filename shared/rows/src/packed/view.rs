use forebay_model::DataType;

use super::{HEAD_LENGTH, Layouts, ListView, PackedError, RowHead, bit, chunk, layouts::LayoutSize};

/// A packed row, opened. Slots are named by their index in the schema; reading a slot as a type that it does not have gives some value, never a panic.
#[derive(Debug, Clone, Copy)]
pub struct RowView<'a> {
    pub(super) layouts: &'a Layouts,
    pub(super) head: RowHead,
    pub(super) size: LayoutSize,
    pub(super) row: &'a [u8],
}

impl<'a> RowView<'a> {
    #[must_use]
    pub fn head(&self) -> &RowHead {
        &self.head
    }

    #[must_use]
    pub fn layouts(&self) -> &'a Layouts {
        self.layouts
    }

    /// The row as it is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.row
    }

    /// Whether the slot has a value: false for null, and for a slot that came after the row's layout.
    #[must_use]
    pub fn is_present(&self, slot: usize) -> bool {
        slot < usize::from(self.size.slots) && bit(&self.row[HEAD_LENGTH..], slot)
    }

    #[must_use]
    pub fn bool(&self, slot: usize) -> bool {
        self.field::<1>(slot) != [0]
    }

    /// An int32, or the days of a date.
    #[must_use]
    pub fn i32(&self, slot: usize) -> i32 {
        i32::from_le_bytes(self.field(slot))
    }

    /// An int64, or the microseconds of a timestamp.
    #[must_use]
    pub fn i64(&self, slot: usize) -> i64 {
        i64::from_le_bytes(self.field(slot))
    }

    #[must_use]
    pub fn f32(&self, slot: usize) -> f32 {
        f32::from_le_bytes(self.field(slot))
    }

    #[must_use]
    pub fn f64(&self, slot: usize) -> f64 {
        f64::from_le_bytes(self.field(slot))
    }

    /// The unscaled value of a decimal.
    #[must_use]
    pub fn decimal(&self, slot: usize) -> i128 {
        i128::from_le_bytes(self.field(slot))
    }

    /// The content of a binary, string, list or vector.
    ///
    /// # Errors
    /// [`PackedError::Corrupt`] when it would lie outside the row.
    pub fn bytes(&self, slot: usize) -> Result<&'a [u8], PackedError> {
        let field = self.field::<8>(slot);
        let [a, b, c, d, e, f, g, h] = field;
        let start = u32::from_le_bytes([a, b, c, d]) as usize;
        let length = u32::from_le_bytes([e, f, g, h]) as usize;
        start
            .checked_add(length)
            .and_then(|end| self.row.get(start..end))
            .ok_or(PackedError::Corrupt("a value lies outside the row"))
    }

    /// # Errors
    /// [`PackedError::Corrupt`] when it lies outside the row or is not UTF-8.
    pub fn str(&self, slot: usize) -> Result<&'a str, PackedError> {
        std::str::from_utf8(self.bytes(slot)?).map_err(|_| PackedError::Corrupt("a string is not UTF-8"))
    }

    /// # Errors
    /// [`PackedError::Corrupt`] when the content is no list of such elements.
    pub fn list(&self, slot: usize, element: &'a DataType) -> Result<ListView<'a>, PackedError> {
        ListView::open(self.bytes(slot)?, element)
    }

    /// The elements of a vector of this length.
    ///
    /// # Errors
    /// [`PackedError::Corrupt`] when it has another length.
    pub fn vector(&self, slot: usize, length: u32) -> Result<impl ExactSizeIterator<Item = f32> + 'a, PackedError> {
        let bytes = self.bytes(slot)?;
        if bytes.len() != 4 * length as usize {
            return Err(PackedError::Corrupt("a vector has another length"));
        }
        Ok(bytes
            .chunks_exact(4)
            .map(|element| f32::from_le_bytes(chunk(element, 0).unwrap_or_default())))
    }

    fn field<const N: usize>(&self, slot: usize) -> [u8; N] {
        let at = self.size.fixed_start as usize + self.layouts.offset(slot);
        chunk(self.row, at).unwrap_or([0; N])
    }
}
