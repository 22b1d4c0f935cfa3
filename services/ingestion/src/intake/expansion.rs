//! Some Arrow layouts name one value many times. Packed rows hold it each time, so a small body could become arbitrarily large.

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::DataType,
};

use super::Refusal;

/// Bytes that a column of one slice of rows may take when its values are written out.
const LIMIT: usize = 256 << 20;

/// # Errors
/// [`Refusal::TooMuchExpanded`].
pub fn check(batch: &RecordBatch) -> Result<(), Refusal> {
    match batch.columns().iter().any(|column| bound(column) > LIMIT) {
        true => Err(Refusal::TooMuchExpanded(LIMIT)),
        false => Ok(()),
    }
}

/// At most so many bytes are in the column's values.
fn bound(array: &ArrayRef) -> usize {
    let views = |views: &[u128]| views.iter().map(|view| *view as u32 as usize).sum();
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let lengths = lengths(dictionary.values());
            let of_key = |key: usize| lengths.get(key).copied().unwrap_or(0);
            dictionary
                .normalized_keys()
                .into_iter()
                .map(of_key)
                .fold(0, usize::saturating_add)
        }
        DataType::Utf8View => views(array.as_string_view().views()),
        DataType::BinaryView => views(array.as_binary_view().views()),
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            let elements = list
                .value_sizes()
                .iter()
                .map(|size| usize::try_from(*size).unwrap_or(usize::MAX));
            elements
                .fold(0, usize::saturating_add)
                .saturating_mul(longest(list.values()))
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            let elements = list
                .value_sizes()
                .iter()
                .map(|size| usize::try_from(*size).unwrap_or(usize::MAX));
            elements
                .fold(0, usize::saturating_add)
                .saturating_mul(longest(list.values()))
        }
        DataType::List(_) => bound(array.as_list::<i32>().values()),
        DataType::LargeList(_) => bound(array.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => bound(array.as_fixed_size_list().values()),
        // Each value stands for itself.
        _ => 0,
    }
}

/// At most so many bytes are in the longest value.
fn longest(values: &ArrayRef) -> usize {
    lengths(values).into_iter().max().unwrap_or(0)
}

/// At most so many bytes are in each value.
fn lengths(values: &ArrayRef) -> Vec<usize> {
    fn of_offsets<T: Copy + TryInto<usize>>(offsets: &[T]) -> Vec<usize> {
        let offset = |offset: T| offset.try_into().unwrap_or(usize::MAX);
        offsets
            .windows(2)
            .map(|pair| offset(pair[1]).saturating_sub(offset(pair[0])))
            .collect()
    }
    match values.data_type() {
        DataType::Utf8 => of_offsets(values.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => of_offsets(values.as_string::<i64>().value_offsets()),
        DataType::Binary => of_offsets(values.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => of_offsets(values.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => values
            .as_string_view()
            .views()
            .iter()
            .map(|view| *view as u32 as usize)
            .collect(),
        DataType::BinaryView => values
            .as_binary_view()
            .views()
            .iter()
            .map(|view| *view as u32 as usize)
            .collect(),
        data_type if data_type.is_primitive() => vec![16; values.len()],
        // No value is longer than all of them together.
        _ => vec![values.get_buffer_memory_size(); values.len()],
    }
}
