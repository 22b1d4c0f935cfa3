//! Times of any Arrow type as microseconds UTC.

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use datafusion::common::Result;

/// Microseconds since the epoch, UTC. A naive time is UTC; nanoseconds round down, so that a row
/// is never seen before its time.
pub(super) fn micros(column: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let times = match column.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => column
            .as_primitive::<TimestampNanosecondType>()
            .unary(|nanos| nanos.div_euclid(1_000)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => column.as_primitive().clone(),
        // The time zone is kept in the cast: it names the zone of display, the values are UTC.
        DataType::Timestamp(_, zone) => cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?
            .as_primitive()
            .clone(),
        _ => cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?
            .as_primitive()
            .clone(),
    };
    Ok(times.with_timezone("UTC"))
}

/// Whether [`micros`] takes this type.
pub(super) fn is_time(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64
    )
}
