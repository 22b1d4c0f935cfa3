//! Which Arrow columns a query may give for a column of the model's types: only what loses nothing.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType as ArrowType, TimeUnit, TimestampNanosecondType},
    error::ArrowError,
};
use forebay_model::DataType;

/// How a column becomes a column of the wanted type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// It is of that type.
    None,
    /// Every value has an equal one there.
    Lossless,
    /// Values that have no equal one there are an error when they are met: nanoseconds that are no whole microseconds, seconds
    /// beyond the range, lists that are no vectors of the right length.
    Checked,
}

/// The conversion from an Arrow type, or none when values may be lost.
///
/// Lossless are: narrower to wider integers, integers of at most 16 bits to float32 and of at most 32 bits to float64, float32
/// to float64, integers and decimals to decimals with enough digits on both sides of the point, dates to timestamps (midnight
/// UTC), naive timestamps to timestamps (they are UTC), milliseconds and seconds to microseconds, the kinds of strings, binaries
/// and lists to each other, an all-null column to anything.
#[must_use]
pub fn conversion(from: &ArrowType, to: &DataType) -> Option<Conversion> {
    use Conversion::{Checked, Lossless};
    if *from == crate::arrow_type(to) {
        return Some(Conversion::None);
    }
    if let ArrowType::Dictionary(_, value) = from {
        return conversion(value, to).map(|conversion| conversion.or(Lossless));
    }
    let fits = match (from, to) {
        (ArrowType::Null, _) => true,
        (_, DataType::Int32) => integer_bits(from).is_some_and(|bits| bits <= 32),
        (_, DataType::Int64) => integer_bits(from).is_some_and(|bits| bits <= 64),
        (ArrowType::Float16, DataType::Float32 | DataType::Float64) | (ArrowType::Float32, DataType::Float64) => true,
        (_, DataType::Float32) => integer_bits(from).is_some_and(|bits| bits <= 17),
        (_, DataType::Float64) => integer_bits(from).is_some_and(|bits| bits <= 33),
        (ArrowType::LargeUtf8 | ArrowType::Utf8View, DataType::String)
        | (ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_), DataType::Binary)
        | (ArrowType::Date32 | ArrowType::Timestamp(TimeUnit::Microsecond, _), DataType::Timestamp) => true,
        (ArrowType::Timestamp(..), DataType::Timestamp) => return Some(Checked),
        (_, DataType::Decimal { precision, scale }) => {
            let (whole, fraction) = decimal_digits(from)?;
            whole <= i16::from(precision - scale) && fraction <= i16::from(*scale)
        }
        (
            ArrowType::List(item)
            | ArrowType::LargeList(item)
            | ArrowType::ListView(item)
            | ArrowType::LargeListView(item)
            | ArrowType::FixedSizeList(item, _),
            DataType::List(element),
        ) => return conversion(item.data_type(), element).map(|conversion| conversion.or(Lossless)),
        (
            ArrowType::List(item) | ArrowType::LargeList(item) | ArrowType::FixedSizeList(item, _),
            DataType::Vector { .. },
        ) => return conversion(item.data_type(), &DataType::Float32).map(|_| Checked),
        _ => false,
    };
    fits.then_some(Lossless)
}

/// Converts a column by [`conversion`].
///
/// # Errors
/// When there is no conversion between the types, or a value has no equal one in the other.
pub fn convert(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let target = crate::arrow_type(to);
    if *array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    if conversion(array.data_type(), to).is_none() {
        return Err(ArrowError::CastError(format!(
            "{} cannot become {to} without loss",
            array.data_type()
        )));
    }
    if let ArrowType::Timestamp(TimeUnit::Nanosecond, _) = array.data_type() {
        let nanos = array.as_primitive::<TimestampNanosecondType>();
        if let Some(finer) = nanos.iter().flatten().find(|value| value % 1_000 != 0) {
            return Err(ArrowError::CastError(format!(
                "{finer} ns is no whole number of microseconds"
            )));
        }
    }
    if matches!(to, DataType::Vector { .. }) {
        refuse_null_elements(array)?;
    }
    // Arrow reads a naive time as one of the target's zone, which is UTC.
    cast_with_options(
        array,
        &target,
        &CastOptions {
            safe: false,
            ..CastOptions::default()
        },
    )
}

fn refuse_null_elements(array: &ArrayRef) -> Result<(), ArrowError> {
    let elements = match array.data_type() {
        ArrowType::List(_) => array.as_list::<i32>().values(),
        ArrowType::LargeList(_) => array.as_list::<i64>().values(),
        ArrowType::FixedSizeList(..) => array.as_fixed_size_list().values(),
        _ => return Ok(()),
    };
    if elements.null_count() > 0 && array.null_count() == 0 {
        return Err(ArrowError::CastError("an element of a vector is null".to_owned()));
    }
    Ok(())
}

impl Conversion {
    /// The stronger of two.
    fn or(self, least: Self) -> Self {
        if self == Self::Checked { self } else { least }
    }
}

/// Bits that a signed integer needs to hold every value; none for what is no integer.
fn integer_bits(from: &ArrowType) -> Option<u8> {
    Some(match from {
        ArrowType::Int8 => 8,
        ArrowType::UInt8 => 9,
        ArrowType::Int16 => 16,
        ArrowType::UInt16 => 17,
        ArrowType::Int32 => 32,
        ArrowType::UInt32 => 33,
        ArrowType::Int64 => 64,
        ArrowType::UInt64 => 65,
        _ => return None,
    })
}

/// Decimal digits before and behind the point that hold every value.
fn decimal_digits(from: &ArrowType) -> Option<(i16, i16)> {
    Some(match from {
        ArrowType::Int8 | ArrowType::UInt8 => (3, 0),
        ArrowType::Int16 | ArrowType::UInt16 => (5, 0),
        ArrowType::Int32 | ArrowType::UInt32 => (10, 0),
        ArrowType::Int64 => (19, 0),
        ArrowType::UInt64 => (20, 0),
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale)
        | ArrowType::Decimal256(precision, scale) => {
            (i16::from(*precision) - i16::from(*scale), i16::from(*scale).max(0))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Field;

    use super::*;

    fn to(data_type: &str, from: &ArrowType) -> Option<Conversion> {
        conversion(from, &data_type.parse().expect("a type"))
    }

    #[test]
    fn integers_are_never_rounded() {
        assert_eq!(to("int64", &ArrowType::Int64), Some(Conversion::None));
        assert_eq!(to("int64", &ArrowType::UInt32), Some(Conversion::Lossless));
        assert_eq!(to("int64", &ArrowType::UInt64), None);
        assert_eq!(to("int32", &ArrowType::Int64), None);
        assert_eq!(to("float64", &ArrowType::Int32), Some(Conversion::Lossless));
        assert_eq!(to("float64", &ArrowType::Int64), None);
        assert_eq!(to("float32", &ArrowType::Int32), None);
        assert_eq!(to("float32", &ArrowType::Float64), None);
        assert_eq!(to("decimal(19,0)", &ArrowType::Int64), Some(Conversion::Lossless));
        assert_eq!(to("decimal(20,2)", &ArrowType::Int64), None);
    }

    #[test]
    fn decimals_keep_digits_on_both_sides() {
        assert_eq!(
            to("decimal(12,4)", &ArrowType::Decimal128(10, 2)),
            Some(Conversion::Lossless)
        );
        assert_eq!(to("decimal(12,3)", &ArrowType::Decimal128(12, 4)), None);
        assert_eq!(to("decimal(10,4)", &ArrowType::Decimal128(10, 2)), None);
    }

    #[test]
    fn times_are_checked_where_they_are_finer() {
        let naive = ArrowType::Timestamp(TimeUnit::Microsecond, None);
        let nanos = ArrowType::Timestamp(TimeUnit::Nanosecond, None);
        assert_eq!(to("timestamp", &naive), Some(Conversion::Lossless));
        assert_eq!(to("timestamp", &nanos), Some(Conversion::Checked));
        assert_eq!(to("timestamp", &ArrowType::Date32), Some(Conversion::Lossless));
        assert_eq!(to("date", &nanos), None);
    }

    #[test]
    fn a_list_may_be_a_vector_of_the_right_length() {
        let list = |item| ArrowType::List(Arc::new(Field::new("item", item, true)));
        assert_eq!(
            to("vector<float32, 3>", &list(ArrowType::Float32)),
            Some(Conversion::Checked)
        );
        assert_eq!(to("vector<float32, 3>", &list(ArrowType::Float64)), None);
        assert_eq!(to("list<int64>", &list(ArrowType::Int32)), Some(Conversion::Lossless));
        assert_eq!(to("list<int64>", &list(ArrowType::Null)), Some(Conversion::Lossless));
        assert_eq!(to("string", &ArrowType::Null), Some(Conversion::Lossless));
    }
}
