//! Arrow columns to packed rows. Sizes are summed up first, so that every column is then written in one pass to where it belongs.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, ListArray, RecordBatch},
    buffer::NullBuffer,
    datatypes::{
        DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
        TimestampMicrosecondType,
    },
};
use forebay_model::{DataType, KeyType, Timestamp, limits::ENCODED_KEY_LENGTH};

use crate::{
    arrow_cast::{Exact, exact},
    arrow_types::{Column, DELETED, EVENT_TIME, Flavor, arrow_type, timestamp_type},
    json::{
        RowOptions, unfit_detail, unknown_field,
        write::{MAX_DATE, MIN_DATE},
    },
    packed::{HEAD_LENGTH, Layouts, MAX_ROW_LENGTH, RowBatch, RowHead, UNSET_SEQUENCE, list::element_width},
    rejected::{Reject, RejectCode},
};

/// The rows of a record batch.
#[derive(Debug)]
pub struct ArrowRows {
    /// Those that fit, in order. Their ingest time is not set.
    pub rows: RowBatch,
    /// Of each of them, its index in the record batch.
    pub indexes: Vec<usize>,
    /// Those that do not fit: by index in the record batch, the first reason.
    pub rejected: Vec<(usize, Reject)>,
}

/// A column that is of its type, by where it goes.
struct Target {
    column: Column,
    array: ArrayRef,
}

/// Packs the rows of a record batch whose columns are keys, `event_time`, features and `_deleted` in any order. Values are cast where nothing is lost.
#[must_use]
pub fn read(layouts: &Arc<Layouts>, batch: &RecordBatch, options: RowOptions) -> ArrowRows {
    let mut faults = Faults {
        of_row: vec![None; batch.num_rows()],
        reasons: Vec::new(),
    };
    let targets = columns(layouts, batch, options, &mut faults);
    let event_times = event_times(&targets, batch.num_rows(), options);
    let keys = KeyColumns::new(layouts, &targets, &mut faults);
    let mut sizes = vec![layouts.heap_start(); batch.num_rows()];
    let features: Vec<(usize, &DataType, &ArrayRef)> = targets
        .iter()
        .filter_map(|target| match target.column {
            Column::Slot(slot) => Some((slot, &layouts.slots()[slot].data_type, &target.array)),
            _ => None,
        })
        .collect();
    for (_, data_type, array) in &features {
        add_sizes(data_type, array, &mut sizes);
    }
    for (row, size) in sizes.iter().enumerate() {
        if *size > MAX_ROW_LENGTH {
            faults.of_row(row, || {
                Reject::of_row(
                    RejectCode::RowTooLarge,
                    format!("the row is larger than {MAX_ROW_LENGTH} bytes"),
                )
            });
        }
    }
    let indexes: Vec<usize> = (0..batch.num_rows())
        .filter(|row| faults.of_row[*row].is_none())
        .collect();
    let mut rows = Arena::new(layouts, &indexes, &sizes);
    for (slot, data_type, array) in features {
        rows.write(slot, data_type, array);
    }
    let deleted = targets.iter().find(|target| target.column == Column::Deleted);
    rows.write_heads(&event_times, deleted.map(|target| &target.array));
    let (keys, key_spans) = keys.encode(&indexes);
    ArrowRows {
        rows: RowBatch {
            layouts: layouts.clone(),
            keys,
            spans: key_spans.into_iter().zip(rows.spans).collect(),
            rows: rows.bytes,
        },
        rejected: faults.into_rejected(),
        indexes,
    }
}

/// The first thing that is wrong with each row, as an index into the reasons.
struct Faults {
    of_row: Vec<Option<u32>>,
    reasons: Vec<Reject>,
}

impl Faults {
    fn of_row(&mut self, row: usize, reason: impl FnOnce() -> Reject) {
        if self.of_row[row].is_none() {
            self.of_row[row] = Some(self.reasons.len() as u32);
            self.reasons.push(reason());
        }
    }

    fn of_rows(&mut self, rows: impl Iterator<Item = usize>, reason: Reject) {
        let number = self.reasons.len() as u32;
        self.reasons.push(reason);
        for row in rows {
            self.of_row[row].get_or_insert(number);
        }
    }

    fn of_all(&mut self, reason: Reject) {
        self.of_rows(0..self.of_row.len(), reason);
    }

    /// The values of a field that do not fit, each with its code; reasons are shared by code.
    fn of_field(&mut self, name: &str, expected: &str, values: impl Iterator<Item = (usize, RejectCode)>) {
        let mut known: Vec<(RejectCode, u32)> = Vec::new();
        for (row, code) in values {
            let number = match known.iter().find(|(other, _)| *other == code) {
                Some((_, number)) => *number,
                None => {
                    let number = self.reasons.len() as u32;
                    self.reasons
                        .push(Reject::of_field(name, code, unfit_detail(code, expected)));
                    known.push((code, number));
                    number
                }
            };
            self.of_row[row].get_or_insert(number);
        }
    }

    fn into_rejected(self) -> Vec<(usize, Reject)> {
        let reasons = &self.reasons;
        self.of_row
            .iter()
            .enumerate()
            .filter_map(|(row, fault)| Some((row, reasons[(*fault)? as usize].clone())))
            .collect()
    }
}

fn columns(layouts: &Layouts, batch: &RecordBatch, options: RowOptions, faults: &mut Faults) -> Vec<Target> {
    let schema = layouts.schema();
    let mut targets: Vec<Target> = Vec::with_capacity(batch.num_columns());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let name = field.name().as_str();
        let key = schema.keys.iter().position(|key| key.name.as_str() == name);
        let column = match name {
            EVENT_TIME => Column::EventTime,
            DELETED => Column::Deleted,
            _ => match (key, schema.slot(name)) {
                (Some(key), _) => Column::Key(key),
                (None, Some(slot)) => Column::Slot(slot),
                (None, None) => {
                    faults.of_all(Reject::of_field(name, RejectCode::UnknownField, unknown_field(name)));
                    continue;
                }
            },
        };
        if targets.iter().any(|target| target.column == column) {
            faults.of_all(Reject::of_field(
                name,
                RejectCode::DuplicateField,
                "the rows have this column twice",
            ));
            continue;
        }
        if let Some(array) = typed(layouts, column, name, array, faults) {
            targets.push(Target { column, array });
        }
    }
    let has = |name: &str| batch.schema_ref().fields().iter().any(|field| field.name() == name);
    for key in schema.keys.iter().filter(|key| !has(key.name.as_str())) {
        faults.of_all(Reject::of_field(
            key.name.as_str(),
            RejectCode::MissingKey,
            "the rows have no column for this key",
        ));
    }
    if options.event_time.is_none() && !has(EVENT_TIME) {
        faults.of_all(Reject::of_field(
            EVENT_TIME,
            RejectCode::MissingEventTime,
            "the rows have no event_time; ?event_time=now gives all of them the time of the request's arrival",
        ));
    }
    if !options.missing_as_null {
        let deleted = targets
            .iter()
            .find(|target| target.column == Column::Deleted)
            .map(|target| target.array.clone());
        let is_kept = |row: &usize| {
            deleted
                .as_ref()
                .is_none_or(|array| array.is_null(*row) || !array.as_boolean().value(*row))
        };
        for (_, slot) in schema.visible().filter(|(_, slot)| !has(slot.name.as_str())) {
            let reason = Reject::of_field(
                slot.name.as_str(),
                RejectCode::MissingFeature,
                "the rows have no column for this feature; ?missing=null takes it as null",
            );
            faults.of_rows((0..batch.num_rows()).filter(is_kept), reason);
        }
    }
    targets
}

/// The column in its own type; `None` and a fault of all rows when it is another.
fn typed(layouts: &Layouts, column: Column, name: &str, array: &ArrayRef, faults: &mut Faults) -> Option<ArrayRef> {
    let schema = layouts.schema();
    let (data_type, arrow) = match column {
        Column::Key(key) => {
            let data_type = schema.keys[key].key_type.data_type();
            let arrow = arrow_type(&data_type, Flavor::Arrow);
            (data_type, arrow)
        }
        Column::Slot(slot) => {
            let data_type = schema.slots[slot].data_type.clone();
            let arrow = arrow_type(&data_type, Flavor::Delta);
            (data_type, arrow)
        }
        Column::Deleted => (DataType::Bool, ArrowType::Boolean),
        Column::EventTime | Column::IngestTime | Column::Sequence => (DataType::Timestamp, timestamp_type()),
    };
    let expected = data_type.to_string();
    let Exact { array, faults: unfit } = match exact(array, &arrow) {
        Ok(exact) => exact,
        Err(code) => {
            let detail = format!("expected {expected}, found Arrow's {}", array.data_type());
            faults.of_all(Reject::of_field(name, code, detail));
            return None;
        }
    };
    if let Some(unfit) = unfit {
        let values = unfit.iter().enumerate();
        faults.of_field(
            name,
            &expected,
            values.filter_map(|(row, fault)| Some((row, (*fault)?))),
        );
    }
    let null = match column {
        Column::Key(_) => Some(RejectCode::NullKey),
        Column::EventTime => Some(RejectCode::NullEventTime),
        _ => None,
    };
    if let Some(code) = null
        && array.null_count() > 0
    {
        let nulls = (0..array.len()).filter(|row| array.is_null(*row));
        faults.of_field(name, &expected, nulls.map(|row| (row, code)));
    }
    faults.of_field(name, &expected, unwritable(&data_type, &array).into_iter());
    Some(array)
}

/// The values that their type has no text for, and vectors that are none.
fn unwritable(data_type: &DataType, array: &ArrayRef) -> Vec<(usize, RejectCode)> {
    let valid = |row: &usize| array.is_valid(*row);
    let rows = (0..array.len()).filter(valid);
    match data_type {
        DataType::Timestamp => {
            let values = array.as_primitive::<TimestampMicrosecondType>().values();
            rows.filter(|row| !Timestamp::from_micros(values[*row]).is_writable())
                .map(|row| (row, RejectCode::OutOfRange))
                .collect()
        }
        DataType::Date => {
            let values = array.as_primitive::<Date32Type>().values();
            rows.filter(|row| !(MIN_DATE..=MAX_DATE).contains(&values[*row]))
                .map(|row| (row, RejectCode::OutOfRange))
                .collect()
        }
        DataType::Vector { length } => {
            let lists = array.as_list::<i32>();
            let nulls = lists.values().nulls();
            rows.filter_map(|row| {
                let range = element_range(lists, row);
                let code = if range.len() != *length as usize {
                    RejectCode::WrongLength
                } else if nulls.is_some_and(|nulls| range.clone().any(|at| nulls.is_null(at))) {
                    RejectCode::NullElement
                } else {
                    return None;
                };
                Some((row, code))
            })
            .collect()
        }
        DataType::List(element) if matches!(**element, DataType::Timestamp | DataType::Date) => {
            let lists = array.as_list::<i32>();
            let mut bad = vec![false; lists.values().len()];
            for (at, _) in unwritable(element, lists.values()) {
                bad[at] = true;
            }
            rows.filter(|row| element_range(lists, *row).any(|at| bad[at]))
                .map(|row| (row, RejectCode::OutOfRange))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn element_range(lists: &ListArray, row: usize) -> Range<usize> {
    lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize
}

fn event_times(targets: &[Target], rows: usize, options: RowOptions) -> Vec<i64> {
    let given = targets.iter().find(|target| target.column == Column::EventTime);
    match given {
        Some(target) => target
            .array
            .as_primitive::<TimestampMicrosecondType>()
            .values()
            .to_vec(),
        None => vec![options.event_time.unwrap_or_default().micros(); rows],
    }
}

/// The key columns and the length of each row's encoded key.
struct KeyColumns {
    columns: Vec<(KeyType, ArrayRef)>,
    lengths: Vec<usize>,
}

impl KeyColumns {
    fn new(layouts: &Layouts, targets: &[Target], faults: &mut Faults) -> Self {
        let mut lengths = vec![0; faults.of_row.len()];
        let mut columns = Vec::new();
        for (index, key) in layouts.schema().keys.iter().enumerate() {
            // A key that is missing has made all rows faulty already.
            let Some(target) = targets.iter().find(|target| target.column == Column::Key(index)) else {
                continue;
            };
            match key.key_type {
                KeyType::Bool => lengths.iter_mut().for_each(|length| *length += 1),
                KeyType::Int32 | KeyType::Date => lengths.iter_mut().for_each(|length| *length += 4),
                KeyType::Int64 | KeyType::Timestamp => lengths.iter_mut().for_each(|length| *length += 8),
                KeyType::String | KeyType::Binary => {
                    let (offsets, content) = var_binary(&target.array);
                    for (row, length) in lengths.iter_mut().enumerate() {
                        let value = &content[offsets[row] as usize..offsets[row + 1] as usize];
                        *length += value.len() + value.iter().filter(|byte| **byte == 0).count() + 2;
                    }
                }
            }
            columns.push((key.key_type, target.array.clone()));
        }
        for (row, length) in lengths.iter().enumerate() {
            if *length > ENCODED_KEY_LENGTH {
                faults.of_row(row, || {
                    let detail = forebay_model::KeyError::TooLong(*length).to_string();
                    Reject::of_row(RejectCode::KeyTooLong, detail)
                });
            }
        }
        Self { columns, lengths }
    }

    fn encode(self, indexes: &[usize]) -> (Vec<u8>, Vec<Range<usize>>) {
        let mut spans = Vec::with_capacity(indexes.len());
        let mut end = 0;
        for row in indexes {
            spans.push(end..end + self.lengths[*row]);
            end += self.lengths[*row];
        }
        let mut keys = vec![0; end];
        let mut cursors: Vec<usize> = spans.iter().map(|span| span.start).collect();
        let mut put = |nth: usize, bytes: &[u8]| {
            let at = cursors[nth];
            keys[at..at + bytes.len()].copy_from_slice(bytes);
            cursors[nth] += bytes.len();
        };
        for (key_type, array) in &self.columns {
            let rows = indexes.iter().enumerate();
            match key_type {
                KeyType::Bool => {
                    let values = array.as_boolean().values();
                    rows.for_each(|(nth, row)| put(nth, &[u8::from(values.value(*row))]));
                }
                KeyType::Int32 => {
                    let values = array.as_primitive::<Int32Type>().values();
                    rows.for_each(|(nth, row)| put(nth, &ordered_i32(values[*row])));
                }
                KeyType::Date => {
                    let values = array.as_primitive::<Date32Type>().values();
                    rows.for_each(|(nth, row)| put(nth, &ordered_i32(values[*row])));
                }
                KeyType::Int64 => {
                    let values = array.as_primitive::<Int64Type>().values();
                    rows.for_each(|(nth, row)| put(nth, &ordered_i64(values[*row])));
                }
                KeyType::Timestamp => {
                    let values = array.as_primitive::<TimestampMicrosecondType>().values();
                    rows.for_each(|(nth, row)| put(nth, &ordered_i64(values[*row])));
                }
                KeyType::String | KeyType::Binary => {
                    let (offsets, content) = var_binary(array);
                    let mut encoded = Vec::new();
                    rows.for_each(|(nth, row)| {
                        encoded.clear();
                        let value = &content[offsets[*row] as usize..offsets[*row + 1] as usize];
                        forebay_model::entity_key::append::bytes(&mut encoded, value);
                        put(nth, &encoded);
                    });
                }
            }
        }
        (keys, spans)
    }
}

fn ordered_i32(value: i32) -> [u8; 4] {
    (value.cast_unsigned() ^ (1 << 31)).to_be_bytes()
}

fn ordered_i64(value: i64) -> [u8; 8] {
    (value.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// Offsets and content of a Utf8 or Binary array.
fn var_binary(array: &ArrayRef) -> (&[i32], &[u8]) {
    match array.data_type() {
        ArrowType::Utf8 => {
            let strings = array.as_string::<i32>();
            (strings.value_offsets(), strings.value_data())
        }
        _ => {
            let binaries = array.as_binary::<i32>();
            (binaries.value_offsets(), binaries.value_data())
        }
    }
}

/// Adds what a column's values take in the heap to the sizes of the rows.
fn add_sizes(data_type: &DataType, array: &ArrayRef, sizes: &mut [usize]) {
    match data_type {
        DataType::String | DataType::Binary => {
            let (offsets, _) = var_binary(array);
            for (row, size) in sizes.iter_mut().enumerate() {
                if array.is_valid(row) {
                    *size += (offsets[row + 1] - offsets[row]) as usize;
                }
            }
        }
        DataType::Vector { length } => {
            for (row, size) in sizes.iter_mut().enumerate() {
                if array.is_valid(row) {
                    *size += 4 * *length as usize;
                }
            }
        }
        DataType::List(element) => {
            let lists = array.as_list::<i32>();
            let content =
                matches!(**element, DataType::String | DataType::Binary).then(|| var_binary(lists.values()).0);
            for (row, size) in sizes.iter_mut().enumerate() {
                if array.is_valid(row) {
                    let range = element_range(lists, row);
                    *size += 4 + range.len().div_ceil(8) + range.len() * element_width(element);
                    // Content under a null element is counted too: it leaves a gap, no more.
                    *size += content.map_or(0, |ends| (ends[range.end] - ends[range.start]) as usize);
                }
            }
        }
        _ => {}
    }
}

/// The rows that fit, at their places, being filled.
struct Arena<'a> {
    layouts: &'a Layouts,
    indexes: &'a [usize],
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
    /// Where each row's next content goes.
    heaps: Vec<usize>,
}

impl<'a> Arena<'a> {
    fn new(layouts: &'a Layouts, indexes: &'a [usize], sizes: &[usize]) -> Self {
        let mut end = 0;
        let mut spans = Vec::with_capacity(indexes.len());
        for row in indexes {
            spans.push(end..end + sizes[*row]);
            end += sizes[*row];
        }
        Self {
            layouts,
            indexes,
            bytes: vec![0; end],
            heaps: spans.iter().map(|span| span.start + layouts.heap_start()).collect(),
            spans,
        }
    }

    fn write(&mut self, slot: usize, data_type: &DataType, array: &ArrayRef) {
        macro_rules! primitives {
            ($arrow:ty) => {{
                let values = array.as_primitive::<$arrow>().values();
                self.fields(slot, array.nulls(), |row| values[row].to_le_bytes());
            }};
        }
        match data_type {
            DataType::Bool => {
                let values = array.as_boolean().values();
                self.fields(slot, array.nulls(), |row| [u8::from(values.value(row))]);
            }
            DataType::Int32 => primitives!(Int32Type),
            DataType::Date => primitives!(Date32Type),
            DataType::Float32 => primitives!(Float32Type),
            DataType::Int64 => primitives!(Int64Type),
            DataType::Timestamp => primitives!(TimestampMicrosecondType),
            DataType::Float64 => primitives!(Float64Type),
            DataType::Decimal { .. } => primitives!(Decimal128Type),
            DataType::String | DataType::Binary => {
                let (offsets, content) = var_binary(array);
                self.contents(slot, array.nulls(), |row, heap| {
                    let value = &content[offsets[row] as usize..offsets[row + 1] as usize];
                    heap[..value.len()].copy_from_slice(value);
                    value.len()
                });
            }
            DataType::Vector { .. } => {
                let lists = array.as_list::<i32>();
                let values = lists.values().as_primitive::<Float32Type>().values();
                self.contents(slot, array.nulls(), |row, heap| {
                    let range = element_range(lists, row);
                    for (place, value) in heap.chunks_exact_mut(4).zip(&values[range.clone()]) {
                        place.copy_from_slice(&value.to_le_bytes());
                    }
                    4 * range.len()
                });
            }
            DataType::List(element) => self.lists(slot, element, array),
        }
    }

    fn lists(&mut self, slot: usize, element: &DataType, array: &ArrayRef) {
        let lists = array.as_list::<i32>();
        let (elements, nulls) = (lists.values(), lists.values().nulls());
        let is_valid = |at| nulls.is_none_or(|nulls| nulls.is_valid(at));
        macro_rules! primitives {
            ($get:expr) => {{
                let get = $get;
                self.contents(slot, array.nulls(), |row, heap| {
                    let range = element_range(lists, row);
                    let mut at = list_head(heap, &range, is_valid);
                    for index in range {
                        let bytes = get(index);
                        if is_valid(index) {
                            heap[at..at + bytes.len()].copy_from_slice(&bytes);
                        }
                        at += bytes.len();
                    }
                    at
                });
            }};
            (of $arrow:ty) => {{
                let values = elements.as_primitive::<$arrow>().values();
                primitives!(|index: usize| values[index].to_le_bytes());
            }};
        }
        match element {
            DataType::Bool => {
                let values = elements.as_boolean().values();
                primitives!(|index: usize| [u8::from(values.value(index))]);
            }
            DataType::Int32 => primitives!(of Int32Type),
            DataType::Date => primitives!(of Date32Type),
            DataType::Float32 => primitives!(of Float32Type),
            DataType::Int64 => primitives!(of Int64Type),
            DataType::Timestamp => primitives!(of TimestampMicrosecondType),
            DataType::Float64 => primitives!(of Float64Type),
            DataType::Decimal { .. } => primitives!(of Decimal128Type),
            // Lists hold scalars.
            DataType::List(_) | DataType::Vector { .. } => {}
            DataType::String | DataType::Binary => {
                let (offsets, content) = var_binary(elements);
                self.contents(slot, array.nulls(), |row, heap| {
                    let range = element_range(lists, row);
                    let ends = list_head(heap, &range, is_valid);
                    let start = ends + 4 * range.len();
                    let mut end = 0;
                    for (nth, index) in range.enumerate() {
                        if is_valid(index) {
                            let value = &content[offsets[index] as usize..offsets[index + 1] as usize];
                            heap[start + end..start + end + value.len()].copy_from_slice(value);
                            end += value.len();
                        }
                        heap[ends + 4 * nth..ends + 4 * nth + 4].copy_from_slice(&(end as u32).to_le_bytes());
                    }
                    start + end
                });
            }
        }
    }

    /// Writes one fixed field of every row.
    fn fields<const N: usize>(&mut self, slot: usize, nulls: Option<&NullBuffer>, get: impl Fn(usize) -> [u8; N]) {
        let offset = self.layouts.field_start(slot);
        for (span, &row) in self.spans.iter().zip(self.indexes) {
            if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                let at = span.start + offset;
                self.bytes[at..at + N].copy_from_slice(&get(row));
                self.bytes[span.start + HEAD_LENGTH + slot / 8] |= 1 << (slot % 8);
            }
        }
    }

    /// Writes one variable field of every row; `write` puts the content at the start of the heap's rest and tells its length.
    fn contents(&mut self, slot: usize, nulls: Option<&NullBuffer>, write: impl Fn(usize, &mut [u8]) -> usize) {
        let offset = self.layouts.field_start(slot);
        for ((span, heap), &row) in self.spans.iter().zip(&mut self.heaps).zip(self.indexes) {
            if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                let length = write(row, &mut self.bytes[*heap..span.end]);
                let start = (*heap - span.start) as u64;
                let at = span.start + offset;
                self.bytes[at..at + 8].copy_from_slice(&((length as u64) << 32 | start).to_le_bytes());
                self.bytes[span.start + HEAD_LENGTH + slot / 8] |= 1 << (slot % 8);
                *heap += length;
            }
        }
    }

    fn write_heads(&mut self, event_times: &[i64], deleted: Option<&ArrayRef>) {
        let layout = self.layouts.schema().layout;
        let deleted = deleted.map(|array| array.as_boolean());
        for (span, &row) in self.spans.iter().zip(self.indexes) {
            let head = RowHead {
                layout,
                deleted: deleted.is_some_and(|array| array.is_valid(row) && array.value(row)),
                event_time: Timestamp::from_micros(event_times[row]),
                ingest_time: Timestamp::from_micros(0),
                sequence: UNSET_SEQUENCE,
            };
            self.bytes[span.start..span.start + HEAD_LENGTH].copy_from_slice(&head.bytes());
        }
    }
}

/// Writes a list's count and presence bitmap and tells where its elements go.
fn list_head(heap: &mut [u8], range: &Range<usize>, is_valid: impl Fn(usize) -> bool) -> usize {
    heap[..4].copy_from_slice(&(range.len() as u32).to_le_bytes());
    for (nth, index) in range.clone().enumerate() {
        if is_valid(index) {
            heap[4 + nth / 8] |= 1 << (nth % 8);
        }
    }
    4 + range.len().div_ceil(8)
}
