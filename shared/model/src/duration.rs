//! Lengths of time as definitions write them: `45s`, `10m`, `12h`, `90d`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time of at least one second, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Duration(i64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a duration: expected a whole number above 0 and one of s, m, h, d, such as 45s, 10m, 12h, 90d; at most 100 years"
)]
pub struct DurationError(String);

const SECOND: i64 = 1_000_000;
const UNITS: [(char, i64); 4] = [
    ('d', 86_400 * SECOND),
    ('h', 3_600 * SECOND),
    ('m', 60 * SECOND),
    ('s', SECOND),
];
const LONGEST: i64 = 36_525 * 86_400 * SECOND;

impl Duration {
    /// A duration of so many microseconds, for computing; what callers write is parsed.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Twice as long, at the end of the range where it would leave it.
    #[must_use]
    pub const fn doubled(self) -> Self {
        Self(self.0.saturating_mul(2))
    }

    #[must_use]
    pub fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.unsigned_abs())
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let error = || DurationError(text.chars().take(32).collect());
        let unit = text
            .chars()
            .last()
            .and_then(|last| UNITS.iter().find(|(symbol, _)| *symbol == last))
            .ok_or_else(error)?;
        let digits = &text[..text.len() - 1];
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let count: i64 = digits.parse().map_err(|_| error())?;
        count
            .checked_mul(unit.1)
            .filter(|micros| (1..=LONGEST).contains(micros))
            .map(Self)
            .ok_or_else(error)
    }
}

impl fmt::Display for Duration {
    /// In the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, unit)| self.0 % unit == 0) {
            Some((symbol, unit)) => write!(f, "{}{symbol}", self.0 / unit),
            None => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write() {
        for (text, seconds) in [("45s", 45), ("10m", 600), ("12h", 43_200), ("90d", 7_776_000)] {
            let duration: Duration = text.parse().expect("a duration");
            assert_eq!(
                (duration.micros(), duration.to_string()),
                (seconds * SECOND, text.to_owned())
            );
        }
        assert_eq!("60s".parse::<Duration>().expect("a duration").to_string(), "1m");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "s",
            "0s",
            "-1s",
            "1.5h",
            "10",
            "10w",
            "1 h",
            "+1s",
            "99999999999999999999d",
            "36526d",
            "1é",
        ] {
            assert!(bad.parse::<Duration>().is_err(), "{bad:?} was taken");
        }
    }
}
