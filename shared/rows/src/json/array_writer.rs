use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeListArray,
        Float32Array, Float64Array, Int32Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::{DataType as ArrowType, TimeUnit},
    util::display::{ArrayFormatter, FormatOptions},
};
use forebay_model::DataType;

use super::write::{self, Int64As};
use crate::arrow_types::{Flavor, arrow_type, forebay_type};

/// Writes the values of one Arrow array as JSON. What to do is decided once, when it is made.
#[derive(Debug)]
pub struct ArrayWriter {
    nulls: ArrayRef,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Null,
    Bool(BooleanArray),
    Int32(Int32Array),
    Int64(Int64Array, Int64As),
    Float32(Float32Array),
    Float64(Float64Array),
    String(StringArray),
    Binary(BinaryArray),
    Date(Date32Array),
    Timestamp(TimestampMicrosecondArray),
    Decimal(Decimal128Array, u8),
    List(ListArray, Box<ArrayWriter>),
    Vector(FixedSizeListArray, Box<ArrayWriter>),
    /// What no Forebay type holds: as Arrow shows it, in a string.
    Other(ArrayRef),
}

/// The array cannot be written as this type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an Arrow array of {0} was given for values of another type")]
pub struct WrongArray(String);

impl ArrayWriter {
    /// For an array of the Arrow type of `data_type`, in whatever layout.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn new(array: &ArrayRef, data_type: &DataType, int64: Int64As) -> Result<Self, WrongArray> {
        let is_of = |flavor| *array.data_type() == arrow_type(data_type, flavor);
        if is_of(Flavor::Arrow) || is_of(Flavor::Delta) || forebay_type(array.data_type()).as_ref() == Some(data_type) {
            Self::of_any(array, int64)
        } else {
            Err(WrongArray(array.data_type().to_string()))
        }
    }

    /// For an array of any type.
    ///
    /// Types that Forebay has are written as the contract says, in whatever layout the array has them; timestamps in nanoseconds lose the last three digits,
    /// unsigned integers beyond int64, structs and the like become strings.
    ///
    /// # Errors
    /// When Arrow cannot change the layout.
    pub fn of_any(array: &ArrayRef, int64: Int64As) -> Result<Self, WrongArray> {
        let cast = |to: &ArrowType| cast(array, to).map_err(|_| WrongArray(array.data_type().to_string()));
        let own_type = match array.data_type() {
            ArrowType::Timestamp(TimeUnit::Nanosecond, zone) => {
                Some(ArrowType::Timestamp(TimeUnit::Microsecond, zone.clone()))
            }
            ArrowType::Timestamp(_, zone) => Some(ArrowType::Timestamp(TimeUnit::Microsecond, zone.clone())),
            ArrowType::Dictionary(_, value) => return Self::of_any(&cast(value)?, int64),
            ArrowType::FixedSizeList(..) | ArrowType::List(_) | ArrowType::Null => Some(array.data_type().clone()),
            ArrowType::LargeList(element) | ArrowType::ListView(element) => Some(ArrowType::List(element.clone())),
            other => forebay_type(other).map(|data_type| arrow_type(&data_type, Flavor::Arrow)),
        };
        let Some(own_type) = own_type else {
            return Ok(Self {
                nulls: array.clone(),
                kind: Kind::Other(array.clone()),
            });
        };
        let array = if *array.data_type() == own_type {
            array.clone()
        } else {
            cast(&own_type)?
        };
        let kind = match array.data_type() {
            ArrowType::Null => Kind::Null,
            ArrowType::Boolean => Kind::Bool(array.as_boolean().clone()),
            ArrowType::Int32 => Kind::Int32(array.as_primitive().clone()),
            ArrowType::Int64 => Kind::Int64(array.as_primitive().clone(), int64),
            ArrowType::Float32 => Kind::Float32(array.as_primitive().clone()),
            ArrowType::Float64 => Kind::Float64(array.as_primitive().clone()),
            ArrowType::Utf8 => Kind::String(array.as_string().clone()),
            ArrowType::Binary => Kind::Binary(array.as_binary().clone()),
            ArrowType::Date32 => Kind::Date(array.as_primitive().clone()),
            ArrowType::Timestamp(TimeUnit::Microsecond, _) => Kind::Timestamp(array.as_primitive().clone()),
            ArrowType::Decimal128(_, scale) if *scale >= 0 => {
                Kind::Decimal(array.as_primitive().clone(), scale.cast_unsigned())
            }
            ArrowType::List(_) => {
                let list: &ListArray = array.as_list();
                Kind::List(list.clone(), Box::new(Self::of_any(list.values(), int64)?))
            }
            ArrowType::FixedSizeList(..) => {
                let list = array.as_fixed_size_list();
                Kind::Vector(list.clone(), Box::new(Self::of_any(list.values(), int64)?))
            }
            _ => Kind::Other(array.clone()),
        };
        Ok(Self { nulls: array, kind })
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.nulls.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nulls.is_empty()
    }

    /// Appends the value at `index`, which is within the array, `null` where there is none; tells whether there is one.
    pub fn write(&self, index: usize, out: &mut Vec<u8>) -> bool {
        if matches!(self.kind, Kind::Null) || self.nulls.is_null(index) {
            write::null(out);
            return false;
        }
        match &self.kind {
            Kind::Null => {}
            Kind::Bool(array) => write::bool(out, array.value(index)),
            Kind::Int32(array) => write::i32(out, array.value(index)),
            Kind::Int64(array, int64) => write::i64_as(out, array.value(index), *int64),
            Kind::Float32(array) => write::f32(out, array.value(index)),
            Kind::Float64(array) => write::f64(out, array.value(index)),
            Kind::String(array) => write::string(out, array.value(index)),
            Kind::Binary(array) => write::binary(out, array.value(index)),
            Kind::Date(array) => write::date(out, array.value(index)),
            Kind::Timestamp(array) => write::timestamp(out, array.value(index)),
            Kind::Decimal(array, scale) => write::decimal(out, array.value(index), *scale),
            Kind::List(array, elements) => {
                let offsets = array.value_offsets();
                elements.write_range(offsets[index] as usize..offsets[index + 1] as usize, out);
            }
            Kind::Vector(array, elements) => {
                let start = array.value_offset(index) as usize;
                elements.write_range(start..start + array.value_length() as usize, out);
            }
            Kind::Other(array) => {
                let shown = ArrayFormatter::try_new(array, &FormatOptions::default())
                    .and_then(|formatter| formatter.value(index).try_to_string());
                let text = shown.unwrap_or_default();
                write::string(out, &text);
            }
        }
        true
    }

    /// Appends values as a JSON array.
    pub fn write_range(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        out.push(b'[');
        for (nth, index) in range.enumerate() {
            if nth > 0 {
                out.push(b',');
            }
            self.write(index, out);
        }
        out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        DictionaryArray, LargeStringArray, NullArray, StructArray, TimestampNanosecondArray, UInt8Array, UInt64Array,
        types::{Float32Type, Int64Type},
    };

    use super::*;

    fn text(array: impl Array + 'static) -> String {
        let writer = ArrayWriter::of_any(&(Arc::new(array) as ArrayRef), Int64As::Number).expect("writable");
        let mut out = Vec::new();
        writer.write_range(0..writer.len(), &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn every_layout_of_a_type_is_written_alike() {
        assert_eq!(text(UInt8Array::from(vec![Some(1), None])), "[1,null]");
        assert_eq!(text(LargeStringArray::from(vec!["a\"b"])), r#"["a\"b"]"#);
        assert_eq!(
            text(["x", "y", "x"].into_iter().collect::<DictionaryArray<Int64Type>>()),
            r#"["x","y","x"]"#
        );
        assert_eq!(
            text(TimestampNanosecondArray::from(vec![1_000])),
            r#"["1970-01-01T00:00:00.000001Z"]"#
        );
        assert_eq!(text(NullArray::new(2)), "[null,null]");
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
        assert_eq!(text(lists.clone()), "[[1,null],null,[]]");
        assert_eq!(text(lists.slice(2, 1)), "[[]]");
        let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
            [Some(vec![Some(0.5), Some(f32::NAN)]), None],
            2,
        );
        assert_eq!(text(vectors.slice(0, 2)), "[[0.5,\"NaN\"],null]");
        assert_eq!(text(UInt64Array::from(vec![u64::MAX])), r#"["18446744073709551615"]"#);
        assert_eq!(text(StructArray::new_empty_fields(1, None)), r#"["{}"]"#);
    }
}
