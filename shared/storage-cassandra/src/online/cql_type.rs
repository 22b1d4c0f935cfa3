//! The CQL types of keys and features.

use forebay_model::{DataType, KeyType};
use scylla::frame::response::result::{CollectionType, ColumnType, NativeType};

/// The longest vector that Cassandra has a type for; longer ones are lists.
const LONGEST_VECTOR: u32 = 8_192;

/// The type of a key column. A timestamp is a bigint of microseconds, since CQL's own has milliseconds only.
pub(super) fn of_key(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Int32 => "int",
        KeyType::Int64 | KeyType::Timestamp => "bigint",
        KeyType::String => "text",
        KeyType::Bool => "boolean",
        KeyType::Date => "date",
        KeyType::Binary => "blob",
    }
}

/// The type of a feature's field. An element of a list is in a tuple of its own, since CQL has no nulls in lists.
pub(super) fn of_feature(data_type: &DataType) -> String {
    match data_type {
        DataType::Bool => "boolean".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 | DataType::Timestamp => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::String => "text".to_owned(),
        DataType::Binary => "blob".to_owned(),
        DataType::Date => "date".to_owned(),
        DataType::Decimal { .. } => "decimal".to_owned(),
        DataType::List(element) => format!("frozen<list<frozen<tuple<{}>>>>", of_feature(element)),
        DataType::Vector { length } if is_vector(*length) => format!("vector<float, {length}>"),
        DataType::Vector { .. } => "frozen<list<float>>".to_owned(),
    }
}

/// Whether a vector of this length is one in CQL too.
pub(super) const fn is_vector(length: u32) -> bool {
    length <= LONGEST_VECTOR
}

/// Whether this is the type that [`of_feature`] gives, as the server tells it.
pub(super) fn is_of_feature(told: &ColumnType<'_>, data_type: &DataType) -> bool {
    let native = |wanted: NativeType| matches!(told, ColumnType::Native(native) if *native == wanted);
    match data_type {
        DataType::Bool => native(NativeType::Boolean),
        DataType::Int32 => native(NativeType::Int),
        DataType::Int64 | DataType::Timestamp => native(NativeType::BigInt),
        DataType::Float32 => native(NativeType::Float),
        DataType::Float64 => native(NativeType::Double),
        DataType::String => native(NativeType::Text),
        DataType::Binary => native(NativeType::Blob),
        DataType::Date => native(NativeType::Date),
        DataType::Decimal { .. } => native(NativeType::Decimal),
        DataType::List(element) => match told {
            ColumnType::Collection {
                typ: CollectionType::List(tuple),
                ..
            } => {
                matches!(&**tuple, ColumnType::Tuple(types) if matches!(&types[..], [one] if is_of_feature(one, element)))
            }
            _ => false,
        },
        DataType::Vector { length } if is_vector(*length) => matches!(
            told,
            ColumnType::Vector { typ, dimensions }
                if u32::from(*dimensions) == *length && **typ == ColumnType::Native(NativeType::Float)
        ),
        DataType::Vector { .. } => matches!(
            told,
            ColumnType::Collection { typ: CollectionType::List(element), .. }
                if **element == ColumnType::Native(NativeType::Float)
        ),
    }
}

/// Whether this is the type that [`of_key`] gives, as the server tells it.
pub(super) fn is_of_key(told: &ColumnType<'_>, key_type: KeyType) -> bool {
    is_of_feature(told, &key_type.data_type())
}
