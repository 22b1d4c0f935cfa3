//! Values as JSON text, appended to a buffer.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::NaiveDate;
use forebay_model::Timestamp;

use super::decimal_float;

/// How int64 is written: JavaScript and others lose digits of numbers beyond 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Int64As {
    #[default]
    Number,
    String,
}

pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

pub fn i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub fn i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub fn i64_as(out: &mut Vec<u8>, value: i64, int64: Int64As) {
    match int64 {
        Int64As::Number => i64(out, value),
        Int64As::String => {
            out.push(b'"');
            i64(out, value);
            out.push(b'"');
        }
    }
}

pub fn f32(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(not_finite(value.into()));
    }
}

pub fn f64(out: &mut Vec<u8>, value: f64) {
    let mut room = [0; decimal_float::ROOM];
    let length = decimal_float::text(value, &mut room).unwrap_or_else(|| any_f64(value, &mut room));
    out.extend_from_slice(&room[..length]);
}

/// Writes any float to the beginning of `room`, and returns its length.
pub(super) fn any_f64(value: f64, room: &mut [u8; decimal_float::ROOM]) -> usize {
    let mut buffer = zmij::Buffer::new();
    let text = if value.is_finite() {
        buffer.format_finite(value).as_bytes()
    } else {
        not_finite(value)
    };
    room[..text.len()].copy_from_slice(text);
    text.len()
}

#[cold]
fn not_finite(value: f64) -> &'static [u8] {
    if value.is_nan() {
        b"\"NaN\""
    } else if value > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    }
}

/// A decimal of this scale as a string, such as `"1.25"` of 125 and 2.
pub fn decimal(out: &mut Vec<u8>, unscaled: i128, scale: u8) {
    let scale = usize::from(scale);
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    out.push(b'"');
    if unscaled < 0 {
        out.push(b'-');
    }
    if scale == 0 {
        out.extend_from_slice(digits);
    } else if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', scale - digits.len()));
        out.extend_from_slice(digits);
    }
    out.push(b'"');
}

/// A string, quoted and escaped.
pub fn string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    let bytes = value.as_bytes();
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[start..at]);
        start = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

/// Base64 with padding, quoted.
pub fn binary(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + value.len().div_ceil(3) * 4, 0);
    // The buffer has exactly the room that padded base64 takes.
    let written = STANDARD.encode_slice(value, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// RFC 3339 with `Z`, quoted; see the module for its digits. Equal to how [`Timestamp`] displays itself.
pub fn timestamp(out: &mut Vec<u8>, micros: i64) {
    out.push(b'"');
    let time = Timestamp::from_micros(micros);
    if time.is_writable() {
        date_digits(out, micros.div_euclid(MICROS_PER_DAY));
        let of_day = micros.rem_euclid(MICROS_PER_DAY);
        let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
        out.push(b'T');
        digits::<2>(out, seconds / 3600);
        out.push(b':');
        digits::<2>(out, seconds / 60 % 60);
        out.push(b':');
        digits::<2>(out, seconds % 60);
        if fraction != 0 {
            out.push(b'.');
            if fraction % 1000 == 0 {
                digits::<3>(out, fraction / 1000);
            } else {
                digits::<6>(out, fraction);
            }
        }
        out.push(b'Z');
    } else {
        // Only rows that others wrote into a table hold such times.
        out.extend_from_slice(time.to_string().as_bytes());
    }
    out.push(b'"');
}

/// `YYYY-MM-DD`, quoted; years outside 0000 to 9999 with a sign, as ISO 8601 has them.
pub fn date(out: &mut Vec<u8>, days: i32) {
    out.push(b'"');
    if (MIN_DATE..=MAX_DATE).contains(&days) {
        date_digits(out, days.into());
    } else if let Some(date) = NaiveDate::from_epoch_days(days) {
        out.extend_from_slice(date.to_string().as_bytes());
    } else {
        out.extend_from_slice(format!("{days}d").as_bytes());
    }
    out.push(b'"');
}

/// 0000-01-01 in days since 1970-01-01, the earliest date that `YYYY-MM-DD` can write.
pub const MIN_DATE: i32 = -719_528;
/// 9999-12-31.
pub const MAX_DATE: i32 = 2_932_896;

fn date_digits(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    digits::<4>(out, year);
    out.push(b'-');
    digits::<2>(out, month);
    out.push(b'-');
    digits::<2>(out, day);
}

fn digits<const N: usize>(out: &mut Vec<u8>, mut value: i64) {
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&text);
}

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar. Years are counted from March in eras of 400, so that the leap day is the
/// last of its year: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn values_look_as_the_contract_shows_them() {
        assert_eq!(text(|o| f64(o, 450_000.0)), "450000.0");
        assert_eq!(text(|o| f64(o, f64::NEG_INFINITY)), "\"-Infinity\"");
        assert_eq!(text(|o| f32(o, 0.1)), "0.1");
        assert_eq!(text(|o| f32(o, f32::NAN)), "\"NaN\"");
        assert_eq!(
            text(|o| i64_as(o, i64::MIN, Int64As::String)),
            "\"-9223372036854775808\""
        );
        assert_eq!(text(|o| decimal(o, -5, 2)), "\"-0.05\"");
        assert_eq!(text(|o| decimal(o, 12_345, 2)), "\"123.45\"");
        assert_eq!(text(|o| decimal(o, 7, 0)), "\"7\"");
        assert_eq!(text(|o| decimal(o, 0, 3)), "\"0.000\"");
        assert_eq!(text(|o| binary(o, b"\0\xff")), "\"AP8=\"");
        assert_eq!(text(|o| timestamp(o, 6)), "\"1970-01-01T00:00:00.000006Z\"");
        assert_eq!(text(|o| date(o, -1)), "\"1969-12-31\"");
        assert_eq!(text(|o| date(o, 3_000_000)), "\"+10183-09-21\"");
        assert_eq!(text(|o| string(o, "a\"\\\n\u{1}é")), "\"a\\\"\\\\\\n\\u0001é\"");
    }

    proptest! {
        #[test]
        fn times_are_written_as_the_model_displays_them(
            micros in prop_oneof![Timestamp::MIN.micros()..=Timestamp::MAX.micros(), (-9_999i64..9_999).prop_map(|s| s * 1_000_000), any::<i64>()]
        ) {
            prop_assert_eq!(text(|o| timestamp(o, micros)), format!("\"{}\"", Timestamp::from_micros(micros)));
        }

        #[test]
        fn dates_are_those_of_the_calendar(days in any::<i32>().prop_map(|days| days % 90_000_000)) {
            let expected = NaiveDate::from_epoch_days(days).expect("in the range of the calendar");
            prop_assert_eq!(text(|o| date(o, days)), format!("\"{expected}\""));
        }

        #[test]
        fn strings_and_floats_read_back(value in any::<String>(), number in any::<f64>(), small in any::<f32>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&text(|o| string(o, &value))).expect("JSON"), value);
            if number.is_finite() {
                prop_assert_eq!(text(|o| f64(o, number)).parse::<f64>().expect("a number").to_bits(), number.to_bits());
            }
            if small.is_finite() {
                prop_assert_eq!(text(|o| f32(o, small)).parse::<f32>().expect("a number").to_bits(), small.to_bits());
            }
        }
    }
}
