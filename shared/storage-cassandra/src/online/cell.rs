//! Packed rows to and from the one cell that a row is in.
//!
//! A frozen type's value is its fields one after the other, each with its length before it, -1 for null; fields at the end may be missing, and are then those
//! that were added to the type since. So a cell has as many fields as the layout of its row, and tells the layout by it.
//!
//! # Which row wins
//!
//! The cell is written with the event time as its timestamp: of two cells Cassandra and ScyllaDB keep the one with the greater timestamp and, if those are
//! equal, the one whose bytes, unsigned, are greater. The bytes begin with the length of `_sequence`, always 8, and the sequence, big-endian and never
//! negative: the greater sequence wins. Next come the length of `_hash`, always 8, and the canonical hash, big-endian, all 64 bits of it (a half of the
//! hashes is shown as negative; only the bytes count): the greater hash wins, as everywhere. Rows that agree in all of this are one row, whichever of them
//! stays. Without the hash the features' bytes would decide, and ties would be won by another row than offline.

use std::sync::Arc;

use forebay_model::{DataType, GroupSchema, LayoutNumber, Sequence, Timestamp};
use forebay_rows::{
    Layouts, PackedError, RowView, RowsWriter,
    packed::{ListView, ListWriter, canonical_hash},
};
use scylla::frame::response::result::UserDefinedType;

use super::{cql_type, names::FIXED_FIELDS};

/// What is wrong with a stored type, a stored cell or a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CellError {
    /// The type has a field of another type than the group, or not the fields that every row has.
    #[error("the type's field `{0}` is not what it was made as; tables must not be altered by others")]
    Field(String),
    /// The type lacks a feature of the row's layout.
    #[error("the type does not have all features of layout {0:?} yet")]
    OlderType(LayoutNumber),
    /// The cell has a field that the schema does not know.
    #[error("a cell has more features than the schema")]
    NewerCell,
    /// The row's layout is newer than the schema.
    #[error("the row is of the newer layout {0:?}")]
    NewerRow(LayoutNumber),
    #[error("{0}")]
    Row(PackedError),
    #[error("a cell does not hold a row: {0}")]
    Corrupt(&'static str),
}

impl From<PackedError> for CellError {
    fn from(error: PackedError) -> Self {
        match error {
            PackedError::NewerLayout { found, .. } => Self::NewerRow(found),
            other => Self::Row(other),
        }
    }
}

/// How the fields of a stored type and the slots of a schema belong together: by name.
pub(super) struct CellCodec {
    layouts: Arc<Layouts>,
    /// The slot of each field after the fixed ones; `None` for a feature that this schema does not know.
    slots: Box<[Option<u16>]>,
    /// By layout: how many fields after the fixed ones a row of it has; `None` when the type lacks one.
    lengths: Box<[Option<usize>]>,
}

/// Fields that every row has.
const FIXED: usize = FIXED_FIELDS.len();

impl CellCodec {
    pub(super) fn new(schema: &Arc<GroupSchema>, definition: &UserDefinedType<'_>) -> Result<Self, CellError> {
        let fields = &definition.field_types;
        let fixed = [DataType::Int64, DataType::Int64, DataType::Int64, DataType::Bool];
        for (index, ((name, _), data_type)) in FIXED_FIELDS.iter().zip(&fixed).enumerate() {
            let found = fields
                .get(index)
                .is_some_and(|(found, told)| found == name && cql_type::is_of_feature(told, data_type));
            if !found {
                return Err(CellError::Field((*name).to_owned()));
            }
        }
        let mut slots = Vec::with_capacity(fields.len() - FIXED);
        for (name, told) in &fields[FIXED..] {
            let slot = schema.slots.iter().position(|slot| slot.name.as_str() == name);
            if let Some(slot) = slot
                && !cql_type::is_of_feature(told, &schema.slots[slot].data_type)
            {
                return Err(CellError::Field(name.to_string()));
            }
            slots.push(slot.map(|slot| slot as u16));
        }
        let lengths = (0..=schema.layout.0).map(|layout| {
            let wanted = schema.slots_of(LayoutNumber(layout))?.len();
            let has = |slot: usize| slots.iter().position(|field| *field == Some(slot as u16));
            (0..wanted).try_fold(0, |length, slot| Some(length.max(has(slot)? + 1)))
        });
        Ok(Self {
            lengths: lengths.collect(),
            slots: slots.into(),
            layouts: Layouts::new(schema.clone()),
        })
    }

    pub(super) fn layouts(&self) -> &Arc<Layouts> {
        &self.layouts
    }

    /// Fields of the type that this was made for.
    pub(super) fn fields(&self) -> usize {
        FIXED + self.slots.len()
    }

    /// Whether the type has all features of the schema's newest layout.
    pub(super) fn is_complete(&self) -> bool {
        self.lengths.last().is_some_and(Option::is_some)
    }

    /// Appends the cell of a packed row, and tells the timestamp to write it with.
    pub(super) fn encode(&self, row: &[u8], cell: &mut Vec<u8>) -> Result<Timestamp, CellError> {
        let row = self.layouts.open(row)?;
        let head = row.head();
        let length = self
            .lengths
            .get(usize::from(head.layout.0))
            .copied()
            .flatten()
            .ok_or(CellError::OlderType(head.layout))?;
        field(cell, &head.sequence.raw().to_be_bytes());
        field(cell, &canonical_hash(&row)?.to_be_bytes());
        field(cell, &head.ingest_time.micros().to_be_bytes());
        field(cell, &[u8::from(head.deleted)]);
        for slot in &self.slots[..length] {
            match slot {
                Some(slot) if row.is_present(usize::from(*slot)) => encode_feature(&row, usize::from(*slot), cell)?,
                _ => null(cell),
            }
        }
        Ok(head.event_time)
    }

    /// Writes the row of a cell as it was packed, with the layout that it was written with. The writer must be one of [`CellCodec::writer`] for the layout
    /// that [`CellCodec::layout`] tells.
    pub(super) fn decode(&self, event_time: Timestamp, cell: &[u8], writer: &mut RowsWriter) -> Result<(), CellError> {
        let mut rest = cell;
        let long = |value: Option<&[u8]>, what| {
            value
                .and_then(|v| v.try_into().ok())
                .map(i64::from_be_bytes)
                .ok_or(CellError::Corrupt(what))
        };
        let sequence = long(next(&mut rest)?, "it has no sequence")?;
        let sequence = Sequence::from_raw(sequence).ok_or(CellError::Corrupt("its sequence is negative"))?;
        let _hash = next(&mut rest)?;
        let ingest_time = long(next(&mut rest)?, "it has no ingest time")?;
        let deleted = next(&mut rest)?.is_some_and(|deleted| deleted == [1]);
        writer.begin();
        let written = self.decode_features(rest, writer);
        if let Err(error) = written {
            writer.abandon();
            return Err(error);
        }
        writer
            .finish_with(event_time, Timestamp::from_micros(ingest_time), sequence, deleted)
            .map_err(|_| CellError::Corrupt("it is larger than any row"))
    }

    fn decode_features(&self, mut rest: &[u8], writer: &mut RowsWriter) -> Result<(), CellError> {
        for slot in &self.slots {
            if rest.is_empty() {
                return Ok(());
            }
            let value = next(&mut rest)?;
            match (slot, value) {
                (_, None) => {}
                (Some(slot), Some(value)) => decode_feature(writer, &self.layouts, usize::from(*slot), value)?,
                (None, Some(_)) => return Err(CellError::NewerCell),
            }
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(CellError::NewerCell)
        }
    }

    /// The layout that a cell was written with: the first that has all of its fields.
    pub(super) fn layout(&self, cell: &[u8]) -> Result<LayoutNumber, CellError> {
        let mut rest = cell;
        let mut fields = 0;
        while !rest.is_empty() {
            next(&mut rest)?;
            fields += 1;
        }
        let features = fields - FIXED.min(fields);
        let layout = self
            .lengths
            .iter()
            .position(|length| length.is_some_and(|length| length >= features));
        layout
            .map(|layout| LayoutNumber(layout as u16))
            .ok_or(CellError::NewerCell)
    }
}

/// A schema as it was at an older layout, for writing rows that are of it.
pub(super) fn at_layout(schema: &Arc<GroupSchema>, layout: LayoutNumber) -> Arc<Layouts> {
    if layout >= schema.layout {
        return Layouts::new(schema.clone());
    }
    Layouts::new(Arc::new(GroupSchema {
        layout,
        slots: schema.slots_of(layout).unwrap_or_default().into(),
        ..(**schema).clone()
    }))
}

fn field(cell: &mut Vec<u8>, value: &[u8]) {
    // No row is larger than a length can say.
    cell.extend_from_slice(&(value.len() as i32).to_be_bytes());
    cell.extend_from_slice(value);
}

fn null(cell: &mut Vec<u8>) {
    cell.extend_from_slice(&(-1_i32).to_be_bytes());
}

/// A field whose content `write` appends.
fn field_with<E>(cell: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let start = cell.len();
    cell.extend_from_slice(&[0; 4]);
    write(cell)?;
    let length = (cell.len() - start - 4) as i32;
    cell[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The next field; `None` when it is null.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, CellError> {
    const CUT: CellError = CellError::Corrupt("it ends within a field");
    let (length, tail) = rest.split_first_chunk::<4>().ok_or(CUT)?;
    let length = i32::from_be_bytes(*length);
    let Ok(length) = usize::try_from(length) else {
        *rest = tail;
        return Ok(None);
    };
    let (value, tail) = tail.split_at_checked(length).ok_or(CUT)?;
    *rest = tail;
    Ok(Some(value))
}

/// Days since 1970 as CQL counts them.
const DAYS: u32 = 1 << 31;

fn encode_feature(row: &RowView<'_>, slot: usize, cell: &mut Vec<u8>) -> Result<(), CellError> {
    match &row.layouts().slots()[slot].data_type {
        DataType::Bool => field(cell, &[u8::from(row.bool(slot))]),
        DataType::Int32 => field(cell, &row.i32(slot).to_be_bytes()),
        DataType::Date => field(cell, &row.i32(slot).cast_unsigned().wrapping_add(DAYS).to_be_bytes()),
        DataType::Int64 | DataType::Timestamp => field(cell, &row.i64(slot).to_be_bytes()),
        DataType::Float32 => field(cell, &row.f32(slot).to_bits().to_be_bytes()),
        DataType::Float64 => field(cell, &row.f64(slot).to_bits().to_be_bytes()),
        DataType::String | DataType::Binary => field(cell, row.bytes(slot)?),
        DataType::Decimal { scale, .. } => decimal(cell, row.decimal(slot), *scale),
        DataType::Vector { length } => {
            let elements = row.vector(slot, *length)?;
            let is_list = !cql_type::is_vector(*length);
            field_with::<CellError>(cell, |cell| {
                if is_list {
                    cell.extend_from_slice(&length.to_be_bytes());
                }
                for element in elements {
                    if is_list {
                        cell.extend_from_slice(&4_i32.to_be_bytes());
                    }
                    cell.extend_from_slice(&element.to_bits().to_be_bytes());
                }
                Ok(())
            })?;
        }
        DataType::List(element) => {
            let list = row.list(slot, element)?;
            field_with(cell, |cell| {
                cell.extend_from_slice(&(list.len() as i32).to_be_bytes());
                (0..list.len())
                    .try_for_each(|index| field_with(cell, |cell| encode_element(&list, index, element, cell)))
            })?;
        }
    }
    Ok(())
}

fn encode_element(list: &ListView<'_>, index: usize, element: &DataType, cell: &mut Vec<u8>) -> Result<(), CellError> {
    if !list.is_present(index) {
        null(cell);
        return Ok(());
    }
    match element {
        DataType::Bool => field(cell, &[u8::from(list.bool(index))]),
        DataType::Int32 => field(cell, &list.i32(index).to_be_bytes()),
        DataType::Date => field(cell, &list.i32(index).cast_unsigned().wrapping_add(DAYS).to_be_bytes()),
        DataType::Int64 | DataType::Timestamp => field(cell, &list.i64(index).to_be_bytes()),
        DataType::Float32 => field(cell, &list.f32(index).to_bits().to_be_bytes()),
        DataType::Float64 => field(cell, &list.f64(index).to_bits().to_be_bytes()),
        DataType::String | DataType::Binary => field(cell, list.bytes(index)?),
        DataType::Decimal { scale, .. } => decimal(cell, list.decimal(index), *scale),
        DataType::List(_) | DataType::Vector { .. } => {
            return Err(CellError::Row(PackedError::Corrupt("a list holds lists")));
        }
    }
    Ok(())
}

/// CQL's decimal: the scale, then the unscaled value, big-endian in as few bytes as hold it with its sign.
fn decimal(cell: &mut Vec<u8>, unscaled: i128, scale: u8) {
    let bytes = unscaled.to_be_bytes();
    let sign = if unscaled < 0 { 0xFF } else { 0x00 };
    let mut start = 0;
    while start < bytes.len() - 1 && bytes[start] == sign && (bytes[start + 1] ^ sign) & 0x80 == 0 {
        start += 1;
    }
    cell.extend_from_slice(&((4 + bytes.len() - start) as i32).to_be_bytes());
    cell.extend_from_slice(&i32::from(scale).to_be_bytes());
    cell.extend_from_slice(&bytes[start..]);
}

fn of_decimal(value: &[u8], scale: u8) -> Result<i128, CellError> {
    const WRONG: CellError = CellError::Corrupt("a decimal has another scale or more digits than its feature");
    let (found, unscaled) = value.split_first_chunk::<4>().ok_or(WRONG)?;
    if i32::from_be_bytes(*found) != i32::from(scale) || unscaled.is_empty() || unscaled.len() > 16 {
        return Err(WRONG);
    }
    let sign = if unscaled[0] & 0x80 == 0 { 0x00 } else { 0xFF };
    let mut bytes = [sign; 16];
    bytes[16 - unscaled.len()..].copy_from_slice(unscaled);
    Ok(i128::from_be_bytes(bytes))
}

fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N], CellError> {
    value
        .try_into()
        .map_err(|_| CellError::Corrupt("a value has another length than its type"))
}

fn of_date(value: &[u8]) -> Result<i32, CellError> {
    Ok(u32::from_be_bytes(exactly(value)?).wrapping_sub(DAYS).cast_signed())
}

fn decode_feature(writer: &mut RowsWriter, layouts: &Layouts, slot: usize, value: &[u8]) -> Result<(), CellError> {
    match &layouts.slots()[slot].data_type {
        DataType::Bool => writer.put_bool(slot, exactly::<1>(value)? != [0]),
        DataType::Int32 => writer.put_i32(slot, i32::from_be_bytes(exactly(value)?)),
        DataType::Date => writer.put_i32(slot, of_date(value)?),
        DataType::Int64 | DataType::Timestamp => writer.put_i64(slot, i64::from_be_bytes(exactly(value)?)),
        DataType::Float32 => writer.put_f32(slot, f32::from_be_bytes(exactly(value)?)),
        DataType::Float64 => writer.put_f64(slot, f64::from_be_bytes(exactly(value)?)),
        DataType::String | DataType::Binary => writer.put_bytes(slot, value),
        DataType::Decimal { scale, .. } => writer.put_decimal(slot, of_decimal(value, *scale)?),
        DataType::Vector { length } => {
            const WRONG: CellError = CellError::Corrupt("a vector has another length than its feature");
            let length = *length as usize;
            let (header, width) = if cql_type::is_vector(length as u32) {
                (0, 4)
            } else {
                (4, 8)
            };
            if value.len() != header + length * width {
                return Err(WRONG);
            }
            writer.put_content(slot, |heap| {
                for element in value[header..].chunks_exact(width) {
                    heap.extend(element[width - 4..].iter().rev());
                }
            });
        }
        DataType::List(element) => {
            let mut rest = value;
            let (count, tail) = rest
                .split_first_chunk::<4>()
                .ok_or(CellError::Corrupt("a list has no length"))?;
            rest = tail;
            let count = usize::try_from(i32::from_be_bytes(*count))
                .map_err(|_| CellError::Corrupt("a list has a negative length"))?;
            // An element takes eight bytes at least: its own length and that of its tuple's field.
            if count > rest.len() / 8 {
                return Err(CellError::Corrupt("a list is shorter than it says"));
            }
            let mut list = writer.put_list(slot, element, count);
            for _ in 0..count {
                let mut tuple =
                    next(&mut rest)?.ok_or(CellError::Corrupt("a list has no element where one should be"))?;
                match next(&mut tuple)? {
                    Some(value) => decode_element(&mut list, element, value)?,
                    None => list.push_null(),
                }
            }
            list.finish();
        }
    }
    Ok(())
}

fn decode_element(list: &mut ListWriter<'_>, element: &DataType, value: &[u8]) -> Result<(), CellError> {
    match element {
        DataType::Bool => list.push_bool(exactly::<1>(value)? != [0]),
        DataType::Int32 => list.push_i32(i32::from_be_bytes(exactly(value)?)),
        DataType::Date => list.push_i32(of_date(value)?),
        DataType::Int64 | DataType::Timestamp => list.push_i64(i64::from_be_bytes(exactly(value)?)),
        DataType::Float32 => list.push_f32(f32::from_be_bytes(exactly(value)?)),
        DataType::Float64 => list.push_f64(f64::from_be_bytes(exactly(value)?)),
        DataType::String | DataType::Binary => list.push_bytes(value),
        DataType::Decimal { scale, .. } => list.push_decimal(of_decimal(value, *scale)?),
        DataType::List(_) | DataType::Vector { .. } => return Err(CellError::Corrupt("a list holds lists")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use forebay_model::{Generation, GroupId, KeyColumn, KeyType, Name, Slot, Value};
    use forebay_rows::values;
    use proptest::{collection::vec, option, prelude::*};
    use scylla::frame::response::result::{CollectionType, ColumnType, NativeType};

    use super::*;
    use crate::online::tests::scalars;

    /// A group with a feature of every type, and a list of each scalar one.
    fn schema() -> Arc<GroupSchema> {
        let types = scalars()
            .into_iter()
            .chain(scalars().map(|scalar| DataType::List(Box::new(scalar))))
            .chain([3, 9_000].map(|length| DataType::Vector { length }));
        let name = |text: &str| Name::new(text).expect("a name");
        let slots = types.enumerate().map(|(number, data_type)| Slot {
            name: name(&format!("f{number}")),
            data_type,
            since: LayoutNumber(u16::from(number > 15)),
            hidden: number == 4,
        });
        Arc::new(GroupSchema {
            name: "all.types".parse().expect("a group"),
            id: GroupId(1),
            generation: Generation(0),
            layout: LayoutNumber(1),
            keys: Arc::from([KeyColumn {
                name: name("id"),
                key_type: KeyType::Int64,
            }]),
            slots: slots.collect(),
        })
    }

    fn told(data_type: &DataType) -> ColumnType<'static> {
        let native = match data_type {
            DataType::Bool => NativeType::Boolean,
            DataType::Int32 => NativeType::Int,
            DataType::Int64 | DataType::Timestamp => NativeType::BigInt,
            DataType::Float32 => NativeType::Float,
            DataType::Float64 => NativeType::Double,
            DataType::String => NativeType::Text,
            DataType::Binary => NativeType::Blob,
            DataType::Date => NativeType::Date,
            DataType::Decimal { .. } => NativeType::Decimal,
            DataType::List(element) => {
                return ColumnType::Collection {
                    frozen: true,
                    typ: CollectionType::List(Box::new(ColumnType::Tuple(vec![told(element)]))),
                };
            }
            DataType::Vector { length } if cql_type::is_vector(*length) => {
                return ColumnType::Vector {
                    typ: Box::new(ColumnType::Native(NativeType::Float)),
                    dimensions: *length as u16,
                };
            }
            DataType::Vector { .. } => {
                return ColumnType::Collection {
                    frozen: true,
                    typ: CollectionType::List(Box::new(ColumnType::Native(NativeType::Float))),
                };
            }
        };
        ColumnType::Native(native)
    }

    /// The type that has these features after the fixed fields.
    fn definition<'a>(slots: impl IntoIterator<Item = &'a Slot>) -> UserDefinedType<'static> {
        let fixed = [DataType::Int64, DataType::Int64, DataType::Int64, DataType::Bool];
        let fixed = FIXED_FIELDS
            .iter()
            .zip(&fixed)
            .map(|((name, _), told_as)| (Cow::Borrowed(*name), told(told_as)));
        let features = slots
            .into_iter()
            .map(|slot| (Cow::Owned(slot.name.to_string()), told(&slot.data_type)));
        UserDefinedType {
            name: "all__types_row".into(),
            keyspace: "k".into(),
            field_types: fixed.chain(features).collect(),
        }
    }

    fn value(data_type: &DataType) -> BoxedStrategy<Value> {
        match data_type {
            DataType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
            DataType::Int32 => any::<i32>().prop_map(Value::Int32).boxed(),
            DataType::Int64 => any::<i64>().prop_map(Value::Int64).boxed(),
            // Bits, so that every NaN comes; compared as packed bytes.
            DataType::Float32 => any::<u32>()
                .prop_map(|bits| Value::Float32(f32::from_bits(bits)))
                .boxed(),
            DataType::Float64 => any::<u64>()
                .prop_map(|bits| Value::Float64(f64::from_bits(bits)))
                .boxed(),
            DataType::String => ".{0,5}".prop_map(Value::String).boxed(),
            DataType::Binary => vec(any::<u8>(), 0..5).prop_map(Value::Binary).boxed(),
            DataType::Date => any::<i32>().prop_map(Value::Date).boxed(),
            DataType::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
            DataType::Decimal { .. } => prop_oneof![any::<i128>(), -300_i128..300]
                .prop_map(Value::Decimal)
                .boxed(),
            DataType::Vector { length } => vec(any::<f32>(), *length as usize).prop_map(Value::Vector).boxed(),
            DataType::List(element) => vec(
                option::of(value(element)).prop_map(|value| value.unwrap_or(Value::Null)),
                0..4,
            )
            .prop_map(Value::List)
            .boxed(),
        }
    }

    fn features(schema: &GroupSchema) -> impl Strategy<Value = Vec<Value>> + use<> {
        let values: Vec<_> = schema
            .slots
            .iter()
            .map(|slot| option::of(value(&slot.data_type)))
            .collect();
        values.prop_map(|values| values.into_iter().map(|value| value.unwrap_or(Value::Null)).collect())
    }

    fn packed(layouts: &Arc<Layouts>, features: &[Value]) -> Vec<u8> {
        let mut writer = RowsWriter::new(layouts.clone());
        writer.begin();
        for (slot, value) in features.iter().enumerate().take(layouts.slots().len()) {
            values::write(&mut writer, slot, value).expect("of its type");
        }
        let sequence = Sequence::from_raw(7).expect("not negative");
        writer
            .finish_with(
                Timestamp::from_micros(-5),
                Timestamp::from_micros(3),
                sequence,
                features[0].is_null(),
            )
            .expect("a small row");
        writer.into_batch().row(0).to_vec()
    }

    fn decoded(codec: &CellCodec, schema: &Arc<GroupSchema>, cell: &[u8]) -> Result<Vec<u8>, CellError> {
        let layout = codec.layout(cell)?;
        let mut writer = RowsWriter::new(at_layout(schema, layout));
        codec.decode(Timestamp::from_micros(-5), cell, &mut writer)?;
        Ok(writer.into_batch().row(0).to_vec())
    }

    proptest! {
        #[test]
        fn a_row_comes_back_as_it_was_packed(features in features(&schema()), old: bool, reordered: bool) {
            let schema = schema();
            let mut slots: Vec<_> = schema.slots.iter().collect();
            if reordered {
                // Fields are found by name, whatever order the type has them in.
                slots[..16].reverse();
            }
            let codec = CellCodec::new(&schema, &definition(slots)).expect("all are there");
            let layouts = at_layout(&schema, LayoutNumber(u16::from(!old)));
            let row = packed(&layouts, &features);
            let mut cell = Vec::new();
            let event_time = codec.encode(&row, &mut cell).expect("a row of the group");
            prop_assert_eq!(event_time, Timestamp::from_micros(-5));
            let again = decoded(&codec, &schema, &cell).expect("a cell");
            if reordered {
                // Then what is variable stands in another order, and only the values are the same.
                let known = Layouts::new(schema);
                let shown = |row| format!("{:?}", values::read_all(&known.open(row).expect("a row")));
                prop_assert_eq!(shown(&again), shown(&row));
            } else {
                prop_assert_eq!(again, row);
            }
        }

        #[test]
        fn any_bytes_are_a_row_or_corrupt(cell in vec(prop_oneof![Just(0_u8), Just(0xFF), Just(1), Just(4), Just(8), any::<u8>()], 0..200)) {
            let schema = schema();
            let codec = CellCodec::new(&schema, &definition(schema.slots.iter())).expect("all are there");
            let _ = decoded(&codec, &schema, &cell);
        }
    }

    #[test]
    fn a_decimal_takes_as_few_bytes_as_hold_it() {
        for (unscaled, bytes) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[0, 128]),
            (-1, &[255]),
            (-128, &[128]),
            (-129, &[255, 127]),
        ] {
            let mut cell = Vec::new();
            decimal(&mut cell, unscaled, 3);
            assert_eq!(&cell[..8], [0, 0, 0, 4 + bytes.len() as u8, 0, 0, 0, 3], "{unscaled}");
            assert_eq!(&cell[8..], bytes, "{unscaled}");
            assert_eq!(of_decimal(&cell[4..], 3), Ok(unscaled));
            assert!(of_decimal(&cell[4..], 2).is_err(), "another scale");
        }
    }

    #[test]
    fn what_a_schema_does_not_know_is_an_error_never_lost() {
        let schema = schema();
        let old = at_layout(&schema, LayoutNumber(0)).schema().clone();
        let all = definition(schema.slots.iter());
        let features = vec![Value::Null; schema.slots.len()];
        let (new_codec, old_codec) = (
            CellCodec::new(&schema, &all).expect("all"),
            CellCodec::new(&old, &all).expect("all"),
        );
        let new_row = packed(&Layouts::new(schema.clone()), &features);
        let mut cell = Vec::new();
        new_codec.encode(&new_row, &mut cell).expect("a row");
        assert_eq!(
            decoded(&old_codec, &old, &cell),
            Err(CellError::NewerCell),
            "a newer cell"
        );
        assert_eq!(
            old_codec.encode(&new_row, &mut Vec::new()),
            Err(CellError::NewerRow(LayoutNumber(1))),
            "a newer row"
        );
        let old_type = definition(old.slots.iter());
        let behind = CellCodec::new(&schema, &old_type).expect("some");
        assert!(!behind.is_complete());
        assert_eq!(
            behind.encode(&new_row, &mut Vec::new()),
            Err(CellError::OlderType(LayoutNumber(1))),
            "a type that has not grown yet"
        );
        let mut other = old_type.clone();
        other.field_types[FIXED].1 = ColumnType::Native(NativeType::Counter);
        assert_eq!(
            CellCodec::new(&old, &other).err(),
            Some(CellError::Field("f0".to_owned())),
            "another type"
        );
        other.field_types.remove(0);
        assert_eq!(
            CellCodec::new(&old, &other).err(),
            Some(CellError::Field("_sequence".to_owned()))
        );
    }
}
