//! Points in time: microseconds since 1970-01-01T00:00:00Z.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Duration;

/// Microseconds UTC; the only time Forebay computes with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// The text is no time, or one that RFC 3339 cannot write (years 0000 to 9999).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a timestamp: expected RFC 3339 such as 2026-01-02T03:04:05.000006Z, years 0000 to 9999, at most microseconds"
)]
pub struct TimestampError(String);

impl Timestamp {
    /// 0000-01-01T00:00:00Z, the earliest that RFC 3339 can write.
    pub const MIN: Self = Self(-62_167_219_200_000_000);
    /// 9999-12-31T23:59:59.999999Z, the latest that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whether it lies between [`Timestamp::MIN`] and [`Timestamp::MAX`].
    #[must_use]
    pub fn is_writable(self) -> bool {
        (Self::MIN..=Self::MAX).contains(&self)
    }

    /// RFC 3339 with an offset; a time without one is UTC, and a date alone is its midnight. Digits beyond microseconds must be zero, so that nothing is rounded.
    ///
    /// # Errors
    /// [`TimestampError`].
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let error = || TimestampError(text.chars().take(64).collect());
        let time = DateTime::parse_from_rfc3339(text)
            .map(|t| t.with_timezone(&Utc))
            .or_else(|_| {
                NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
                    .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
                    .map(|t| t.and_utc())
            })
            .or_else(|_| {
                NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|d| d.and_time(chrono::NaiveTime::MIN).and_utc())
            })
            .map_err(|_| error())?;
        if time.timestamp_subsec_nanos() % 1_000 != 0 {
            return Err(error());
        }
        Some(Self(time.timestamp_micros()))
            .filter(|t| t.is_writable())
            .ok_or_else(error)
    }

    /// `self + duration`, at the ends of the range where it would leave it.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.micros()))
    }

    /// `self - duration`, at the ends of the range where it would leave it.
    #[must_use]
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.micros()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with `Z`: no fraction, milliseconds or microseconds, as many as it takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_micros(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_utc_and_a_naive_time_is_utc() {
        let expected = Timestamp::from_micros(1_767_323_045_000_006);
        for text in [
            "2026-01-02T03:04:05.000006Z",
            "2026-01-02T00:04:05.000006-03:00",
            "2026-01-02T03:04:05.000006",
            "2026-01-02 03:04:05.000006",
        ] {
            assert_eq!(Timestamp::parse(text), Ok(expected), "{text}");
        }
        assert_eq!(expected.to_string(), "2026-01-02T03:04:05.000006Z");
        assert_eq!(
            Timestamp::parse("1969-12-31"),
            Ok(Timestamp::from_micros(-86_400_000_000))
        );
    }

    #[test]
    fn nothing_is_rounded_and_years_have_four_digits() {
        assert!(Timestamp::parse("2026-01-02T03:04:05.0000061Z").is_err());
        assert!(Timestamp::parse("+10000-01-01T00:00:00Z").is_err());
        assert!(Timestamp::parse("").is_err());
        for end in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(Timestamp::parse(&end.to_string()), Ok(end));
        }
    }
}
