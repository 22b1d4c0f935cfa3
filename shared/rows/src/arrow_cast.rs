//! Casts of whole Arrow columns that lose nothing: each value arrives as it was, or is told.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, make_array, new_null_array},
    buffer::NullBuffer,
    compute::{CastOptions, cast_with_options, kernels::cmp},
    datatypes::{DataType as ArrowType, Field, TimeUnit},
};

use crate::{arrow_types::timestamp_type, rejected::RejectCode};

/// A column of the type asked for. Where a value could not be taken as it was, the result holds anything.
#[derive(Debug, Clone)]
pub struct Exact {
    pub array: ArrayRef,
    /// Why, for each value that could not be taken; none when all could.
    pub faults: Option<Vec<Option<RejectCode>>>,
}

/// Casts a column to one of the types that [`crate::arrow_types::arrow_type`] gives. Vectors are asked for as lists.
///
/// Integers go to any integer, float or decimal, floats to floats and integers, decimals to decimals and integers, timestamps to another unit or zone (one without
/// zone is UTC), dates to timestamps, strings, binaries and lists to their other layouts, each value only if it comes back the same.
///
/// # Errors
/// `wrong_type` when no value of the column's type can be taken.
pub fn exact(array: &ArrayRef, to: &ArrowType) -> Result<Exact, RejectCode> {
    let from = array.data_type();
    if from == to {
        return Ok(whole(array.clone()));
    }
    match (from, to) {
        (ArrowType::Null, _) => Ok(whole(new_null_array(to, array.len()))),
        (ArrowType::Dictionary(_, value), _) => exact(&cast(array, value)?, to),
        (
            ArrowType::List(_)
            | ArrowType::LargeList(_)
            | ArrowType::FixedSizeList(..)
            | ArrowType::ListView(_)
            | ArrowType::LargeListView(_),
            ArrowType::List(element),
        ) => list(array, element),
        (ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View, ArrowType::Utf8)
        | (
            ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_),
            ArrowType::Binary,
        ) => Ok(whole(cast(array, to)?)),
        (ArrowType::Timestamp(unit, _), ArrowType::Timestamp(..)) => {
            // The values are UTC whatever zone they are shown in; without one they are taken as UTC.
            let utc = relabelled(array, &ArrowType::Timestamp(*unit, Some("UTC".into())))?;
            if *unit == TimeUnit::Microsecond {
                return Ok(whole(utc));
            }
            there_and_back(&utc, to)
        }
        (ArrowType::Date32 | ArrowType::Date64, ArrowType::Timestamp(..)) => there_and_back(
            &cast(array, &ArrowType::Timestamp(TimeUnit::Millisecond, None))?,
            &timestamp_type(),
        ),
        (ArrowType::Date64, ArrowType::Date32) => there_and_back(array, to),
        (from, to) if may_be_exact(from, to) => there_and_back(array, to),
        _ => Err(RejectCode::WrongType),
    }
}

fn may_be_exact(from: &ArrowType, to: &ArrowType) -> bool {
    let is_decimal = |data_type: &ArrowType| {
        matches!(
            data_type,
            ArrowType::Decimal32(..) | ArrowType::Decimal64(..) | ArrowType::Decimal128(..) | ArrowType::Decimal256(..)
        )
    };
    if from.is_integer() {
        to.is_integer() || to.is_floating() || is_decimal(to)
    } else if from.is_floating() {
        to.is_floating() || to.is_integer()
    } else {
        is_decimal(from) && (is_decimal(to) || to.is_integer())
    }
}

fn whole(array: ArrayRef) -> Exact {
    Exact { array, faults: None }
}

/// Values that do not fit become null.
fn cast(array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef, RejectCode> {
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    cast_with_options(array, to, &options).map_err(|_| RejectCode::WrongType)
}

/// The same values under another type of the same layout.
fn relabelled(array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef, RejectCode> {
    let data = array.to_data().into_builder().data_type(to.clone()).build();
    data.map(make_array).map_err(|_| RejectCode::WrongType)
}

fn there_and_back(array: &ArrayRef, to: &ArrowType) -> Result<Exact, RejectCode> {
    let there = cast(array, to)?;
    let back = cast(&there, array.data_type())?;
    let differs: BooleanArray = cmp::distinct(array, &back).map_err(|_| RejectCode::WrongType)?;
    if differs.true_count() == 0 {
        return Ok(whole(there));
    }
    let fault = |index| {
        differs.value(index).then(|| {
            if there.is_null(index) {
                RejectCode::OutOfRange
            } else {
                RejectCode::NotExact
            }
        })
    };
    Ok(Exact {
        faults: Some((0..array.len()).map(fault).collect()),
        array: there,
    })
}

fn list(array: &ArrayRef, element: &Arc<Field>) -> Result<Exact, RejectCode> {
    let (ArrowType::List(field)
    | ArrowType::LargeList(field)
    | ArrowType::FixedSizeList(field, _)
    | ArrowType::ListView(field)
    | ArrowType::LargeListView(field)) = array.data_type()
    else {
        return Err(RejectCode::WrongType);
    };
    let plain = cast(array, &ArrowType::List(field.clone()))?;
    let plain: &ListArray = plain.as_list();
    let elements = exact(plain.values(), element.data_type())?;
    let faults = elements.faults.map(|faults| {
        let of_row = |row: usize| {
            let range = plain.value_offsets()[row] as usize..plain.value_offsets()[row + 1] as usize;
            if plain.is_null(row) {
                None
            } else {
                faults[range].iter().copied().flatten().next()
            }
        };
        (0..plain.len()).map(of_row).collect()
    });
    let nulls: Option<NullBuffer> = plain.nulls().cloned();
    let lists = ListArray::try_new(
        Arc::new(Field::new(element.name(), element.data_type().clone(), true)),
        plain.offsets().clone(),
        make_array(elements.array.to_data()),
        nulls,
    )
    .map_err(|_| RejectCode::WrongType)?;
    Ok(Exact {
        array: Arc::new(lists),
        faults,
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray,
        StringViewArray, TimestampNanosecondArray, UInt64Array, types::Int32Type,
    };

    use super::*;

    fn taken(array: ArrayRef, to: &ArrowType) -> (ArrayRef, Vec<Option<RejectCode>>) {
        let exact = exact(&array, to).expect("a type that can be taken");
        let faults = exact.faults.unwrap_or_else(|| vec![None; array.len()]);
        (exact.array, faults)
    }

    #[test]
    fn each_value_is_taken_as_it_is_or_told() {
        use RejectCode::{NotExact, OutOfRange};
        let (array, faults) = taken(
            Arc::new(Int64Array::from(vec![Some(7), None, Some(1 << 40)])),
            &ArrowType::Int32,
        );
        assert_eq!(array.as_primitive::<arrow::datatypes::Int32Type>().value(0), 7);
        assert_eq!(faults, [None, None, Some(OutOfRange)]);
        let (_, faults) = taken(Arc::new(UInt64Array::from(vec![1, u64::MAX])), &ArrowType::Int64);
        assert_eq!(faults, [None, Some(OutOfRange)]);
        let (_, faults) = taken(
            Arc::new(Float64Array::from(vec![1.0, 1.5, f64::NAN])),
            &ArrowType::Int64,
        );
        assert_eq!(faults, [None, Some(NotExact), Some(OutOfRange)]);
        let (_, faults) = taken(
            Arc::new(Float64Array::from(vec![0.5, 0.1, f64::NAN])),
            &ArrowType::Float32,
        );
        assert_eq!(faults, [None, Some(NotExact), None]);
        let (_, faults) = taken(
            Arc::new(Int64Array::from(vec![1 << 53, (1 << 53) + 1])),
            &ArrowType::Float64,
        );
        assert_eq!(faults, [None, Some(NotExact)]);
        let (_, faults) = taken(
            Arc::new(TimestampNanosecondArray::from(vec![-1_000, 1_001])),
            &timestamp_type(),
        );
        assert_eq!(faults, [None, Some(NotExact)]);
        let decimals = Decimal128Array::from(vec![1_000, 1_001])
            .with_precision_and_scale(10, 3)
            .expect("fits");
        let (_, faults) = taken(Arc::new(decimals), &ArrowType::Decimal128(10, 2));
        assert_eq!(faults, [None, Some(NotExact)]);
    }

    #[test]
    fn other_layouts_of_a_type_are_taken() {
        let dictionary: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        for array in [
            Arc::new(dictionary) as ArrayRef,
            Arc::new(StringViewArray::from(vec!["a", "b", "a"])),
        ] {
            let (array, _) = taken(array, &ArrowType::Utf8);
            assert_eq!(array.as_string::<i32>(), &StringArray::from(vec!["a", "b", "a"]));
        }
    }

    #[test]
    fn a_local_time_without_zone_is_utc_and_one_with_a_zone_its_instant() {
        let naive = TimestampNanosecondArray::from(vec![3_600_000_000_000]);
        let zoned = naive.clone().with_timezone("America/Sao_Paulo");
        for array in [naive, zoned] {
            let (array, faults) = taken(Arc::new(array), &timestamp_type());
            assert_eq!(
                array
                    .as_primitive::<arrow::datatypes::TimestampMicrosecondType>()
                    .value(0),
                3_600_000_000
            );
            assert_eq!(faults, [None]);
        }
    }

    #[test]
    fn what_is_another_type_is_refused() {
        for (array, to) in [
            (Arc::new(StringArray::from(vec!["1"])) as ArrayRef, ArrowType::Int64),
            (Arc::new(Int32Array::from(vec![1])), ArrowType::Boolean),
            (Arc::new(Int32Array::from(vec![1])), timestamp_type()),
            (Arc::new(Float32Array::from(vec![1.0])), ArrowType::Decimal128(10, 2)),
        ] {
            assert_eq!(exact(&array, &to).map(drop), Err(RejectCode::WrongType));
        }
    }
}
