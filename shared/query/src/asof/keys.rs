//! Join keys as small integers: the spine's distinct keys are interned, the history's are looked up.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, PrimitiveArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, plan_datafusion_err};

/// The id of "no key": a null in a key column, or a key that the spine does not have.
pub(super) const NO_KEY: u32 = u32::MAX;

/// The type in which keys of `declared` are compared, or `None` if no join key has this type.
///
/// Views, dictionaries and large offsets are only other layouts of the same values.
pub(super) fn comparison_type(declared: &DataType) -> Option<DataType> {
    Some(match declared {
        DataType::Boolean => DataType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => DataType::Int64,
        DataType::Date32 => DataType::Date32,
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => comparison_type(values)?,
        _ => return None,
    })
}

/// Turns key columns into comparable values, the same way for the spine and for the history.
#[derive(Debug)]
pub(super) struct KeyEncoder {
    types: Vec<DataType>,
    seed: u64,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    /// One column that fits an `i64`.
    Int,
    /// One column of strings or bytes.
    Bytes,
    /// Anything else, encoded injectively by Arrow's row format.
    Rows(RowConverter),
}

/// The encoded keys of one batch.
pub(super) struct Keys {
    values: Values,
    /// Null where any key column is null.
    nulls: Option<NullBuffer>,
    rows: usize,
    seed: u64,
}

enum Values {
    Int(Int64Array),
    Bytes(BinaryArray),
    Rows(Rows),
}

impl KeyEncoder {
    /// An encoder for key columns of the given comparison types (see [`comparison_type`]).
    pub(super) fn try_new(types: Vec<DataType>) -> Result<Self> {
        let layout = match types.as_slice() {
            [] => {
                return Err(plan_datafusion_err!("An as-of join needs at least one key column."));
            }
            [DataType::Int64 | DataType::Date32 | DataType::Timestamp(_, _)] => Layout::Int,
            [DataType::Utf8 | DataType::Binary] => Layout::Bytes,
            several => Layout::Rows(RowConverter::new(
                several.iter().cloned().map(SortField::new).collect(),
            )?),
        };
        // Seeded per join, so that no choice of keys makes the hash table slow.
        let seed = RandomState::new().hash_one(0u8);
        Ok(Self { types, seed, layout })
    }

    /// Encodes one batch's key columns. A value that does not fit the comparison type is a null key.
    pub(super) fn encode(&self, columns: &[ArrayRef]) -> Result<Keys> {
        let columns = columns
            .iter()
            .zip(&self.types)
            .map(|(column, wanted)| as_type(column, wanted))
            .collect::<Result<Vec<_>>>()?;
        let rows = columns[0].len();
        let nulls = columns
            .iter()
            .fold(None, |nulls, column| {
                NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref())
            })
            .filter(|nulls| nulls.null_count() > 0);
        let values = match &self.layout {
            Layout::Int => Values::Int(as_int64(&columns[0])),
            Layout::Bytes => Values::Bytes(as_binary(&columns[0])),
            Layout::Rows(converter) => Values::Rows(converter.convert_columns(&columns)?),
        };
        Ok(Keys {
            values,
            nulls,
            rows,
            seed: self.seed,
        })
    }
}

/// Casts without changing a value; one that does not fit becomes null.
fn as_type(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if column.data_type() == wanted {
        return Ok(Arc::clone(column));
    }
    if let DataType::Timestamp(_, _) = wanted {
        return super::time::micros(column).map(|times| Arc::new(times) as ArrayRef);
    }
    Ok(cast_with_options(column, wanted, &CastOptions::default())?)
}

fn as_int64(column: &ArrayRef) -> Int64Array {
    match column.data_type() {
        DataType::Date32 => column
            .as_primitive::<Date32Type>()
            .reinterpret_cast::<Int32Type>()
            .unary(i64::from),
        DataType::Timestamp(_, _) => {
            let times: &PrimitiveArray<TimestampMicrosecondType> = column.as_primitive();
            times.reinterpret_cast()
        }
        _ => column.as_primitive::<Int64Type>().clone(),
    }
}

fn as_binary(column: &ArrayRef) -> BinaryArray {
    match column.data_type() {
        DataType::Utf8 => BinaryArray::from(column.as_string::<i32>().clone() as StringArray),
        _ => column.as_binary::<i32>().clone(),
    }
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    fn bytes(&self, row: usize) -> &[u8] {
        match &self.values {
            Values::Int(_) => &[],
            Values::Bytes(values) => values.value(row),
            Values::Rows(rows) => rows.row(row).data(),
        }
    }

    /// The key's hash; the same for equal keys of one join. Null keys have one too.
    pub(super) fn hash(&self, row: usize) -> u64 {
        match &self.values {
            Values::Int(values) => hash_int(values.value(row), self.seed),
            _ => xxhash_rust::xxh3::xxh3_64_with_seed(self.bytes(row), self.seed),
        }
    }
}

/// A bijective mix of 64 bits: the finaliser of SplitMix64 over the seeded value.
fn hash_int(value: i64, seed: u64) -> u64 {
    let mut x = (value as u64) ^ seed;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Distinct keys, numbered in the order in which they came.
///
/// Open addressing over (tag, id) pairs; the keys themselves lie densely beside it.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    entries: Vec<Entry>,
    ints: Vec<i64>,
    bytes: Vec<u8>,
    /// Where each key's bytes end.
    ends: Vec<usize>,
    len: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u32,
    id: u32,
}

const VACANT: Entry = Entry { tag: 0, id: NO_KEY };

impl KeyTable {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// The least and the greatest key, if keys are single integers and there are any.
    pub(super) fn int_range(&self) -> Option<(i64, i64)> {
        Some((*self.ints.iter().min()?, *self.ints.iter().max()?))
    }

    /// Bytes held on the heap.
    pub(super) fn memory_size(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.ints.capacity() * size_of::<i64>()
            + self.bytes.capacity()
            + self.ends.capacity() * size_of::<usize>()
    }

    /// The ids of a batch's keys, in order; keys seen for the first time get the next ids.
    pub(super) fn intern(&mut self, keys: &Keys, ids: &mut Vec<u32>) {
        ids.reserve(keys.len());
        for row in 0..keys.len() {
            if keys.is_null(row) {
                ids.push(NO_KEY);
                continue;
            }
            if (self.len() + 1) * 2 > self.entries.len() {
                self.grow();
            }
            let hash = keys.hash(row);
            let (position, found) = self.probe(hash, keys, row);
            if let Some(id) = found {
                ids.push(id);
                continue;
            }
            let id = self.len;
            self.entries[position] = Entry { tag: tag(hash), id };
            match &keys.values {
                Values::Int(values) => self.ints.push(values.value(row)),
                _ => {
                    self.bytes.extend_from_slice(keys.bytes(row));
                    self.ends.push(self.bytes.len());
                }
            }
            self.len += 1;
            ids.push(id);
        }
    }

    /// The ids of a batch's keys, [`NO_KEY`] where the table has none.
    pub(super) fn find(&self, keys: &Keys, ids: &mut Vec<u32>) {
        ids.clear();
        if self.len == 0 {
            ids.resize(keys.len(), NO_KEY);
            return;
        }
        match (&keys.values, &keys.nulls) {
            // The common case, without a branch on layout or nulls per row.
            (Values::Int(values), None) => ids.extend(values.values().iter().map(|&value| {
                let hash = hash_int(value, keys.seed);
                let mask = self.entries.len() - 1;
                let mut position = hash as usize & mask;
                loop {
                    let entry = self.entries[position];
                    if entry.id == NO_KEY || entry.tag == tag(hash) && self.ints[entry.id as usize] == value {
                        return entry.id;
                    }
                    position = (position + 1) & mask;
                }
            })),
            _ => ids.extend((0..keys.len()).map(|row| {
                if keys.is_null(row) {
                    return NO_KEY;
                }
                self.probe(keys.hash(row), keys, row).1.unwrap_or(NO_KEY)
            })),
        }
    }

    /// Where the key is, or the vacant place where it would go.
    fn probe(&self, hash: u64, keys: &Keys, row: usize) -> (usize, Option<u32>) {
        let mask = self.entries.len() - 1;
        let mut position = hash as usize & mask;
        loop {
            let entry = self.entries[position];
            if entry.id == NO_KEY {
                return (position, None);
            }
            if entry.tag == tag(hash) && self.holds(entry.id, keys, row) {
                return (position, Some(entry.id));
            }
            position = (position + 1) & mask;
        }
    }

    fn holds(&self, id: u32, keys: &Keys, row: usize) -> bool {
        match &keys.values {
            Values::Int(values) => self.ints[id as usize] == values.value(row),
            _ => self.key_bytes(id) == keys.bytes(row),
        }
    }

    fn key_bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..self.ends[id]]
    }

    fn grow(&mut self) {
        let capacity = (self.entries.len() * 2).max(64);
        let old = std::mem::replace(&mut self.entries, vec![VACANT; capacity]);
        let mask = capacity - 1;
        for entry in old.into_iter().filter(|entry| entry.id != NO_KEY) {
            // The low half of the hash is the tag; with up to 2^32 entries it is also the position.
            let mut position = entry.tag as usize & mask;
            while self.entries[position].id != NO_KEY {
                position = (position + 1) & mask;
            }
            self.entries[position] = entry;
        }
    }
}

/// The half of the hash that is kept beside the id. Positions come from its low bits, so that
/// growing needs no key; partitions on disk come from the other half.
fn tag(hash: u64) -> u32 {
    hash as u32
}
