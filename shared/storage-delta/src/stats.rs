//! The statistics of a data file as its log entry tells them.

use arrow::datatypes::{DataType as Arrow, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use datafusion::scalar::ScalarValue;
use forebay_model::Timestamp;
use serde_json::{Map, Value as Json};

/// Microseconds that a greatest time may have lost: writers cut times to milliseconds.
const CUT: i64 = 999;

#[derive(Debug, Clone, Default)]
pub(crate) struct FileStats {
    pub(crate) rows: Option<u64>,
    min: Map<String, Json>,
    max: Map<String, Json>,
    nulls: Map<String, Json>,
}

impl FileStats {
    /// What cannot be understood counts as not told.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let Some(Json::Object(mut stats)) = text.and_then(|text| serde_json::from_str(text).ok()) else {
            return Self::default();
        };
        let mut columns = |name| match stats.remove(name) {
            Some(Json::Object(columns)) => columns,
            _ => Map::new(),
        };
        let (min, max, nulls) = (columns("minValues"), columns("maxValues"), columns("nullCount"));
        Self {
            rows: stats.get("numRecords").and_then(Json::as_u64),
            min,
            max,
            nulls,
        }
    }

    /// A lower bound of the column's values.
    pub(crate) fn min(&self, column: &str, data_type: &Arrow) -> Option<ScalarValue> {
        scalar(self.min.get(column)?, data_type, 0)
    }

    /// An upper bound of the column's values.
    pub(crate) fn max(&self, column: &str, data_type: &Arrow) -> Option<ScalarValue> {
        scalar(self.max.get(column)?, data_type, CUT)
    }

    pub(crate) fn nulls(&self, column: &str) -> Option<u64> {
        self.nulls.get(column)?.as_u64()
    }

    /// Bounds of a time column, both included.
    pub(crate) fn times(&self, column: &str) -> Option<(Timestamp, Timestamp)> {
        let least = micros(self.min.get(column)?)?;
        let greatest = micros(self.max.get(column)?)?.saturating_add(CUT);
        Some((Timestamp::from_micros(least), Timestamp::from_micros(greatest)))
    }
}

fn scalar(value: &Json, data_type: &Arrow, cut: i64) -> Option<ScalarValue> {
    Some(match data_type {
        Arrow::Int32 => ScalarValue::Int32(Some(i32::try_from(value.as_i64()?).ok()?)),
        Arrow::Int64 => ScalarValue::Int64(Some(value.as_i64()?)),
        Arrow::Utf8 => ScalarValue::Utf8(Some(value.as_str()?.to_owned())),
        Arrow::Date32 => {
            let date = NaiveDate::parse_from_str(value.as_str()?, "%Y-%m-%d").ok()?;
            let days = date.signed_duration_since(NaiveDate::default()).num_days();
            ScalarValue::Date32(Some(i32::try_from(days).ok()?))
        }
        Arrow::Timestamp(TimeUnit::Microsecond, zone) => {
            ScalarValue::TimestampMicrosecond(Some(micros(value)?.saturating_add(cut)), zone.clone())
        }
        _ => return None,
    })
}

fn micros(value: &Json) -> Option<i64> {
    let text = value.as_str()?;
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_micros())
        .or_else(|_| {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc().timestamp_micros())
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_although_times_were_cut() {
        let stats = FileStats::parse(Some(
            r#"{"numRecords":2,"minValues":{"k":-1,"event_time":"1969-12-31T23:59:59.999Z"},
                "maxValues":{"k":7,"event_time":"2026-01-02T03:04:05.678Z"},"nullCount":{"k":1}}"#,
        ));
        assert_eq!(
            (stats.rows, stats.nulls("k"), stats.nulls("x")),
            (Some(2), Some(1), None)
        );
        assert_eq!(stats.max("k", &Arrow::Int64), Some(ScalarValue::Int64(Some(7))));
        assert_eq!(
            stats.times("event_time"),
            Some((
                Timestamp::from_micros(-1_000),
                Timestamp::parse("2026-01-02T03:04:05.678999Z").expect("a time")
            ))
        );
    }

    #[test]
    fn what_is_not_told_is_unknown() {
        for text in [
            None,
            Some(""),
            Some("[]"),
            Some(r#"{"minValues":3,"maxValues":{"event_time":4}}"#),
        ] {
            let stats = FileStats::parse(text);
            assert_eq!((stats.rows, stats.times("event_time")), (None, None), "{text:?}");
        }
    }
}
