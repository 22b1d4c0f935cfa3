//! Durations in configuration files: `250ms`, `10s`, `5m`, `12h`, `1d`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// For `#[serde(with = "duration_text")]`.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// For `#[serde(with = "duration_text")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        de::Error::custom(format!(
            "{text:?} is not a duration; write a whole number and a unit: 250ms, 10s, 5m, 12h, 1d"
        ))
    })
}

fn format(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, size) = UNITS
        .into_iter()
        .find(|(_, size)| millis.is_multiple_of(*size) && millis >= *size)
        .unwrap_or(("ms", 1));
    format!("{}{unit}", millis / size)
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, size) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(size)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["250ms", "10s", "5m", "12h", "1d", "0ms", "1500ms"] {
            assert_eq!(parse(text).map(format).as_deref(), Some(text));
        }
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "1 s",
            "10w",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
