use std::sync::Arc;

use forebay_model::{DataType, LayoutNumber, Sequence, Timestamp};

use super::{
    HEAD_LENGTH, Layouts, MAX_ROW_LENGTH, RowBatch, RowHead, UNSET_SEQUENCE, field_width, list::element_width,
};

/// Writes rows one after the other into one arena, always in the schema's newest layout; what is not set is null.
///
/// [`RowsWriter::begin`], then keys and features in any order, then [`RowsWriter::finish`] or [`RowsWriter::abandon`].
#[derive(Debug)]
pub struct RowsWriter {
    batch: RowBatch,
    key_start: usize,
    row_start: usize,
    fixed_start: usize,
    heap_start: usize,
}

/// The row is longer than [`MAX_ROW_LENGTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the row is larger than {MAX_ROW_LENGTH} bytes")]
pub struct RowTooLarge;

impl RowsWriter {
    #[must_use]
    pub fn new(layouts: Arc<Layouts>) -> Self {
        let size = layouts.current();
        Self {
            fixed_start: size.fixed_start as usize,
            heap_start: size.heap_start as usize,
            key_start: 0,
            row_start: 0,
            batch: RowBatch {
                layouts,
                keys: Vec::new(),
                rows: Vec::new(),
                spans: Vec::new(),
            },
        }
    }

    /// As [`RowsWriter::new`], with room for so many rows.
    #[must_use]
    pub fn with_capacity(layouts: Arc<Layouts>, rows: usize) -> Self {
        let mut writer = Self::new(layouts);
        writer.batch.spans.reserve(rows);
        writer.batch.keys.reserve(rows * 8);
        writer.batch.rows.reserve(rows * writer.heap_start);
        writer
    }

    #[must_use]
    pub fn layouts(&self) -> &Arc<Layouts> {
        &self.batch.layouts
    }

    /// Rows finished.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Bytes written so far.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        self.batch.byte_size()
    }

    /// Starts a row.
    pub fn begin(&mut self) {
        self.key_start = self.batch.keys.len();
        self.row_start = self.batch.rows.len();
        self.batch.rows.resize(self.row_start + self.heap_start, 0);
    }

    /// Where the current row's encoded key is to be appended.
    pub fn key(&mut self) -> &mut Vec<u8> {
        &mut self.batch.keys
    }

    /// The current row's encoded key so far.
    #[must_use]
    pub fn current_key(&self) -> &[u8] {
        &self.batch.keys[self.key_start..]
    }

    pub fn put_bool(&mut self, slot: usize, value: bool) {
        self.put(slot, [u8::from(value)]);
    }

    /// An int32, or the days of a date.
    pub fn put_i32(&mut self, slot: usize, value: i32) {
        self.put(slot, value.to_le_bytes());
    }

    /// An int64, or the microseconds of a timestamp.
    pub fn put_i64(&mut self, slot: usize, value: i64) {
        self.put(slot, value.to_le_bytes());
    }

    pub fn put_f32(&mut self, slot: usize, value: f32) {
        self.put(slot, value.to_le_bytes());
    }

    pub fn put_f64(&mut self, slot: usize, value: f64) {
        self.put(slot, value.to_le_bytes());
    }

    /// The unscaled value of a decimal.
    pub fn put_decimal(&mut self, slot: usize, value: i128) {
        self.put(slot, value.to_le_bytes());
    }

    /// A binary, or the UTF-8 of a string.
    pub fn put_bytes(&mut self, slot: usize, value: &[u8]) {
        self.put_content(slot, |heap| heap.extend_from_slice(value));
    }

    /// A string, binary or vector whose bytes `write` appends. Not for lists.
    pub fn put_content<T>(&mut self, slot: usize, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let start = self.batch.rows.len();
        let result = write(&mut self.batch.rows);
        self.close(slot, start);
        result
    }

    /// Begins a list of exactly `count` elements, each of which is then set or stays null, in order.
    pub fn put_list(&mut self, slot: usize, element: &DataType, count: usize) -> ListWriter<'_> {
        let start = self.batch.rows.len();
        let width = element_width(element);
        self.batch.rows.extend_from_slice(&(count as u32).to_le_bytes());
        let bitmap = self.batch.rows.len();
        let elements = bitmap + count.div_ceil(8);
        let content = elements + count * width;
        self.batch.rows.resize(content, 0);
        ListWriter {
            writer: self,
            slot,
            start,
            bitmap,
            elements,
            content,
            width,
            count,
            next: 0,
        }
    }

    /// Ends the row.
    ///
    /// # Errors
    /// [`RowTooLarge`]; the row is then abandoned.
    pub fn finish(&mut self, event_time: Timestamp, ingest_time: Timestamp, deleted: bool) -> Result<(), RowTooLarge> {
        self.finish_with(event_time, ingest_time, UNSET_SEQUENCE, deleted)
    }

    /// As [`RowsWriter::finish`] for a row whose sequence is known.
    ///
    /// # Errors
    /// [`RowTooLarge`]; the row is then abandoned.
    pub fn finish_with(
        &mut self,
        event_time: Timestamp,
        ingest_time: Timestamp,
        sequence: Sequence,
        deleted: bool,
    ) -> Result<(), RowTooLarge> {
        let end = self.batch.rows.len();
        if end - self.row_start > MAX_ROW_LENGTH {
            self.abandon();
            return Err(RowTooLarge);
        }
        let head = RowHead {
            layout: self.layout(),
            deleted,
            event_time,
            ingest_time,
            sequence,
        };
        self.batch.rows[self.row_start..self.row_start + HEAD_LENGTH].copy_from_slice(&head.bytes());
        self.batch
            .spans
            .push((self.key_start..self.batch.keys.len(), self.row_start..end));
        Ok(())
    }

    /// Forgets the row begun last.
    pub fn abandon(&mut self) {
        self.batch.keys.truncate(self.key_start);
        self.batch.rows.truncate(self.row_start);
    }

    /// Forgets the row finished last.
    pub fn take_back(&mut self) {
        if let Some((key, row)) = self.batch.spans.pop() {
            self.batch.keys.truncate(key.start);
            self.batch.rows.truncate(row.start);
        }
    }

    /// The rows finished.
    #[must_use]
    pub fn into_batch(self) -> RowBatch {
        self.batch
    }

    /// The rows finished so far; the writer goes on with an empty arena.
    pub fn take_batch(&mut self) -> RowBatch {
        let empty = Self::new(self.batch.layouts.clone());
        std::mem::replace(self, empty).batch
    }

    fn layout(&self) -> LayoutNumber {
        self.batch.layouts.schema().layout
    }

    fn put<const N: usize>(&mut self, slot: usize, value: [u8; N]) {
        debug_assert_eq!(N, field_width(&self.batch.layouts.slots()[slot].data_type));
        let at = self.row_start + self.fixed_start + self.batch.layouts.offset(slot);
        self.batch.rows[at..at + N].copy_from_slice(&value);
        self.mark(slot);
    }

    fn mark(&mut self, slot: usize) {
        self.batch.rows[self.row_start + HEAD_LENGTH + slot / 8] |= 1 << (slot % 8);
    }

    /// Makes what was appended from `start` on the content of the slot.
    fn close(&mut self, slot: usize, start: usize) {
        // Rows longer than u32 can say are refused when they are finished.
        let from = (start - self.row_start) as u32;
        let length = (self.batch.rows.len() - start) as u32;
        self.put(slot, (u64::from(length) << 32 | u64::from(from)).to_le_bytes());
    }
}

/// Writes the elements of one list, in order.
#[derive(Debug)]
pub struct ListWriter<'a> {
    writer: &'a mut RowsWriter,
    slot: usize,
    start: usize,
    bitmap: usize,
    elements: usize,
    content: usize,
    width: usize,
    count: usize,
    next: usize,
}

impl ListWriter<'_> {
    pub fn push_null(&mut self) {
        let end = self.content_length();
        self.advance(false, end);
    }

    pub fn push_bool(&mut self, value: bool) {
        self.push([u8::from(value)]);
    }

    pub fn push_i32(&mut self, value: i32) {
        self.push(value.to_le_bytes());
    }

    pub fn push_i64(&mut self, value: i64) {
        self.push(value.to_le_bytes());
    }

    pub fn push_f32(&mut self, value: f32) {
        self.push(value.to_le_bytes());
    }

    pub fn push_f64(&mut self, value: f64) {
        self.push(value.to_le_bytes());
    }

    pub fn push_decimal(&mut self, value: i128) {
        self.push(value.to_le_bytes());
    }

    /// A binary, or the UTF-8 of a string.
    pub fn push_bytes(&mut self, value: &[u8]) {
        self.push_content(|heap| heap.extend_from_slice(value));
    }

    /// A string or binary whose bytes `write` appends.
    pub fn push_content<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let result = write(&mut self.writer.batch.rows);
        let end = self.content_length();
        self.push(end.to_le_bytes());
        result
    }

    /// Ends the list; elements not pushed are null.
    pub fn finish(mut self) {
        while self.next < self.count {
            self.push_null();
        }
        self.writer.close(self.slot, self.start);
    }

    fn content_length(&self) -> u32 {
        (self.writer.batch.rows.len() - self.content) as u32
    }

    fn push<const N: usize>(&mut self, value: [u8; N]) {
        if self.next < self.count {
            let at = self.elements + self.next * self.width;
            self.writer.batch.rows[at..at + N].copy_from_slice(&value);
        }
        self.advance(true, 0);
    }

    fn advance(&mut self, present: bool, end: u32) {
        if self.next < self.count {
            if present {
                self.writer.batch.rows[self.bitmap + self.next / 8] |= 1 << (self.next % 8);
            } else if self.content > self.elements && end > 0 {
                // A null string ends where the one before it did.
                let at = self.elements + self.next * self.width;
                self.writer.batch.rows[at..at + 4].copy_from_slice(&end.to_le_bytes());
            }
        }
        self.next += 1;
    }
}
