//! How the model's types look in Arrow.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, TimeUnit};
use forebay_model::DataType;

/// The Arrow type that columns of `data_type` have in every answer and in every query.
#[must_use]
pub fn arrow_type(data_type: &DataType) -> ArrowType {
    match data_type {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int32 => ArrowType::Int32,
        DataType::Int64 => ArrowType::Int64,
        DataType::Float32 => ArrowType::Float32,
        DataType::Float64 => ArrowType::Float64,
        DataType::String => ArrowType::Utf8,
        DataType::Binary => ArrowType::Binary,
        DataType::Date => ArrowType::Date32,
        DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        #[allow(clippy::cast_possible_wrap)] // at most 38
        DataType::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale as i8),
        DataType::List(element) => ArrowType::List(item(element)),
        #[allow(clippy::cast_possible_wrap)] // at most 65,536
        DataType::Vector { length } => ArrowType::FixedSizeList(item(&DataType::Float32), *length as i32),
    }
}

/// Named as Delta names it.
fn item(element: &DataType) -> Arc<Field> {
    Arc::new(Field::new("element", arrow_type(element), true))
}

/// The smallest of the model's types that holds every value of an Arrow type; none when no type does.
#[must_use]
pub fn model_type(arrow: &ArrowType) -> Option<DataType> {
    Some(match arrow {
        ArrowType::Boolean => DataType::Bool,
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::Int32 | ArrowType::UInt8 | ArrowType::UInt16 => DataType::Int32,
        ArrowType::Int64 | ArrowType::UInt32 => DataType::Int64,
        ArrowType::UInt64 => DataType::Decimal {
            precision: 20,
            scale: 0,
        },
        ArrowType::Float16 | ArrowType::Float32 => DataType::Float32,
        ArrowType::Float64 => DataType::Float64,
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::String,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        ArrowType::Date32 => DataType::Date,
        ArrowType::Timestamp(..) => DataType::Timestamp,
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale)
        | ArrowType::Decimal256(precision, scale)
            if *precision <= 38 =>
        {
            let scale = u8::try_from(*scale).ok().filter(|scale| scale <= precision)?;
            DataType::Decimal {
                precision: *precision,
                scale,
            }
        }
        ArrowType::List(item)
        | ArrowType::LargeList(item)
        | ArrowType::ListView(item)
        | ArrowType::LargeListView(item)
        | ArrowType::FixedSizeList(item, _) => match model_type(item.data_type())? {
            nested if !nested.is_scalar() => return None,
            scalar => DataType::List(Box::new(scalar)),
        },
        ArrowType::Dictionary(_, value) => model_type(value)?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_its_own_smallest_holder() {
        for text in [
            "bool",
            "int32",
            "int64",
            "float32",
            "float64",
            "string",
            "binary",
            "date",
            "timestamp",
            "decimal(9,2)",
            "list<date>",
        ] {
            let data_type: DataType = text.parse().expect("a type");
            assert_eq!(model_type(&arrow_type(&data_type)), Some(data_type));
        }
    }
}
