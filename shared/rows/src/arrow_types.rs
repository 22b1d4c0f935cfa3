//! Forebay's types as Arrow's, and the columns of a group's offline table.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};
use forebay_model::{DataType, GroupSchema};

/// The name of the time when a row's facts became true.
pub const EVENT_TIME: &str = "event_time";
/// The name of the time when a row was taken in.
pub const INGEST_TIME: &str = "ingest_time";
/// The name of a row's place in the order of its key's rows.
pub const SEQUENCE: &str = "_sequence";
/// The name of the flag that makes a row a delete.
pub const DELETED: &str = "_deleted";

/// Where the columns are to live: Delta has no fixed-size lists, so that vectors are plain lists there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// Answers, requests and expressions.
    Arrow,
    /// Delta tables.
    Delta,
}

/// A timestamp in microseconds UTC.
#[must_use]
pub fn timestamp_type() -> ArrowType {
    ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The Arrow type of a Forebay type.
#[must_use]
pub fn arrow_type(data_type: &DataType, flavor: Flavor) -> ArrowType {
    match data_type {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float32 => ArrowType::Float32,
        DataType::Float64 => ArrowType::Float64,
        DataType::String => ArrowType::Utf8,
        DataType::Binary => ArrowType::Binary,
        DataType::Date => ArrowType::Date32,
        DataType::Timestamp => timestamp_type(),
        DataType::Decimal { precision, scale } => ArrowType::Decimal128(*precision, scale.cast_signed()),
        DataType::List(element) => ArrowType::List(element_field(arrow_type(element, flavor))),
        DataType::Vector { length } => match flavor {
            Flavor::Arrow => ArrowType::FixedSizeList(element_field(ArrowType::Float32), length.cast_signed()),
            Flavor::Delta => ArrowType::List(element_field(ArrowType::Float32)),
        },
    }
}

/// Named as Delta names it.
fn element_field(element: ArrowType) -> Arc<Field> {
    Arc::new(Field::new("element", element, true))
}

/// The Forebay type that holds every value of an Arrow type, `None` if there is none. Fixed-size lists of float32 are vectors.
#[must_use]
pub fn forebay_type(arrow: &ArrowType) -> Option<DataType> {
    Some(match arrow {
        ArrowType::Boolean => DataType::Bool,
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::Int32 | ArrowType::UInt8 | ArrowType::UInt16 => DataType::Int32,
        ArrowType::Int64 | ArrowType::UInt32 => DataType::Int64,
        ArrowType::Float16 | ArrowType::Float32 => DataType::Float32,
        ArrowType::Float64 => DataType::Float64,
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::String,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        ArrowType::Date32 => DataType::Date,
        ArrowType::Timestamp(TimeUnit::Nanosecond, _) => return None,
        ArrowType::Timestamp(..) | ArrowType::Date64 => DataType::Timestamp,
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale) => DataType::Decimal {
            precision: *precision,
            scale: u8::try_from(*scale).ok().filter(|scale| scale <= precision)?,
        },
        ArrowType::FixedSizeList(element, length) if *element.data_type() == ArrowType::Float32 => DataType::Vector {
            length: u32::try_from(*length).ok().filter(|length| *length > 0)?,
        },
        ArrowType::List(element) | ArrowType::LargeList(element) | ArrowType::ListView(element) => {
            DataType::List(Box::new(forebay_type(element.data_type()).filter(DataType::is_scalar)?))
        }
        ArrowType::Dictionary(_, value) => forebay_type(value)?,
        _ => return None,
    })
}

/// A column of a group's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// By index in the schema's keys.
    Key(usize),
    EventTime,
    IngestTime,
    Sequence,
    /// By index in the schema's slots.
    Slot(usize),
    Deleted,
}

impl Column {
    #[must_use]
    pub fn field(self, schema: &GroupSchema, flavor: Flavor) -> Field {
        let (name, data_type) = match self {
            Self::Key(index) => {
                let key = &schema.keys[index];
                (key.name.as_str(), arrow_type(&key.key_type.data_type(), flavor))
            }
            Self::EventTime => (EVENT_TIME, timestamp_type()),
            Self::IngestTime => (INGEST_TIME, timestamp_type()),
            Self::Sequence => (SEQUENCE, ArrowType::Int64),
            Self::Slot(index) => {
                let slot = &schema.slots[index];
                (slot.name.as_str(), arrow_type(&slot.data_type, flavor))
            }
            Self::Deleted => (DELETED, ArrowType::Boolean),
        };
        Field::new(name, data_type, true)
    }

    /// The columns of the group's offline table in their order: keys, times, sequence, features (hidden ones too), deleted.
    #[must_use]
    pub fn all(schema: &GroupSchema) -> Vec<Self> {
        (0..schema.keys.len())
            .map(Self::Key)
            .chain([Self::EventTime, Self::IngestTime, Self::Sequence])
            .chain((0..schema.slots.len()).map(Self::Slot))
            .chain([Self::Deleted])
            .collect()
    }
}

/// The Arrow schema of some columns.
#[must_use]
pub fn arrow_schema(schema: &GroupSchema, columns: &[Column], flavor: Flavor) -> SchemaRef {
    Arc::new(Schema::new(
        columns
            .iter()
            .map(|column| column.field(schema, flavor))
            .collect::<Vec<_>>(),
    ))
}

/// The schema of the group's offline table.
#[must_use]
pub fn table_schema(schema: &GroupSchema) -> SchemaRef {
    arrow_schema(schema, &Column::all(schema), Flavor::Delta)
}
