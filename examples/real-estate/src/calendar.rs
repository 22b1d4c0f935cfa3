//! Moments as seconds and microseconds since 1970 in UTC.

use chrono::{DateTime, Months, NaiveDate, SecondsFormat};

pub const DAY: i64 = 86_400;

/// The first second of a month and of the month after it.
///
/// # Panics
/// When there is no such month.
pub fn month(year: i32, month: u32) -> (i64, i64) {
    let first = NaiveDate::from_ymd_opt(year, month, 1).expect("a month of the calendar");
    let seconds = |day: NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
    (seconds(first), seconds(first + Months::new(1)))
}

/// The year in which a moment, in microseconds, lies.
pub fn year(micros: i64) -> i32 {
    use chrono::Datelike;
    moment(micros).year()
}

/// A moment, in microseconds, as RFC 3339 with Z.
pub fn rfc3339(micros: i64) -> String {
    moment(micros).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn moment(micros: i64) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_micros(micros).expect("the example's times lie within a few years")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_their_lengths() {
        let days = |y, m| {
            let (start, end) = month(y, m);
            (end - start) / DAY
        };
        assert_eq!((days(2008, 2), days(2009, 2), days(2006, 12)), (29, 28, 31));
    }

    #[test]
    fn writes_microseconds_only_where_there_are_some() {
        let (start, _) = month(2010, 5);
        assert_eq!(rfc3339(start * 1_000_000), "2010-05-01T00:00:00Z");
        assert_eq!(rfc3339(start * 1_000_000 + 7), "2010-05-01T00:00:00.000007Z");
        assert_eq!(year(start * 1_000_000), 2010);
    }
}
