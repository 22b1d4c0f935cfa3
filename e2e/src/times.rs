//! Moments as RFC 3339 text, which is how they travel.

use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's time, microseconds since 1970 in UTC.
#[allow(clippy::disallowed_methods)] // the server under test runs on the machine's clock
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    i64::try_from(since.as_micros()).expect("a clock of this age")
}

/// `2026-01-02T03:04:05.000006Z`, always with six digits.
pub fn text(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z", date(day))
}

/// A day since 1970-01-01 as `YYYY-MM-DD`: the civil calendar from day numbers, by eras of 400 years from 1 March.
pub fn date(day: i64) -> String {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_known_moments() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(text(1_767_323_045_000_006), "2026-01-02T03:04:05.000006Z");
        assert_eq!(
            (date(11_016), date(-25_567)),
            ("2000-02-29".into(), "1900-01-01".into())
        );
    }
}
