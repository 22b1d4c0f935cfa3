//! Numbers from their text, exactly or not at all.

use super::scan::number_length;
use crate::rejected::RejectCode;

/// An integer: plain digits, or any number whose value is whole, such as `1e3` or `2.0`.
///
/// # Errors
/// `not_exact` when it has a fraction, `out_of_range` beyond 64 bits, `wrong_type` when the text is no number.
pub fn integer(text: &str) -> Result<i64, RejectCode> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    if (1..=18).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && (digits[0] != b'0' || digits.len() == 1)
    {
        let value = digits
            .iter()
            .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        return Ok(if digits.len() < text.len() { -value } else { value });
    }
    i64::try_from(unscaled(text, 0)?).map_err(|_| RejectCode::OutOfRange)
}

/// The unscaled value of a decimal with this many digits in all and behind the point.
///
/// # Errors
/// `not_exact` when it has more digits behind the point, `out_of_range` when it has more before it, `wrong_type` when the text is no number.
pub fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, RejectCode> {
    let value = unscaled(text, scale)?;
    if fits(value, precision) {
        Ok(value)
    } else {
        Err(RejectCode::OutOfRange)
    }
}

/// Whether the value has at most so many digits.
#[must_use]
pub fn fits(unscaled: i128, precision: u8) -> bool {
    unscaled.unsigned_abs() < 10_u128.pow(u32::from(precision.min(38)))
}

/// The number times 10^scale.
fn unscaled(text: &str, scale: u8) -> Result<i128, RejectCode> {
    let bytes = text.as_bytes();
    if number_length(bytes) != Some(bytes.len()) {
        return Err(RejectCode::WrongType);
    }
    let (negative, rest) = match bytes.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&rest[..at], exponent(&rest[at + 1..])),
        None => (rest, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let fraction = mantissa.len().saturating_sub(point + 1);
    let mut digits = mantissa
        .iter()
        .filter(|byte| **byte != b'.')
        .skip_while(|byte| **byte == b'0');
    let Some(last) = mantissa.iter().rposition(|byte| matches!(byte, b'1'..=b'9')) else {
        return Ok(0);
    };
    // Zeros at the end of the digits say nothing: their number goes into the exponent.
    let zeros = mantissa[last + 1..].iter().filter(|byte| **byte == b'0').count();
    let significant = digits.clone().count() - zeros;
    let shift = exponent + i64::from(scale) + zeros as i64 - fraction as i64;
    if shift < 0 {
        return Err(RejectCode::NotExact);
    }
    if significant as i64 + shift > 39 {
        return Err(RejectCode::OutOfRange);
    }
    let value = digits
        .by_ref()
        .take(significant)
        .try_fold(0_u128, |value, digit| {
            value.checked_mul(10)?.checked_add(u128::from(digit - b'0'))
        })
        .and_then(|value| value.checked_mul(10_u128.checked_pow(shift as u32)?))
        .and_then(|value| i128::try_from(value).ok())
        .ok_or(RejectCode::OutOfRange)?;
    Ok(if negative { -value } else { value })
}

/// The exponent's value, at the ends of a range that no number of practical length leaves.
fn exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let value = digits.iter().fold(0_i64, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(1 << 40)
    });
    if negative { -value } else { value }
}

/// A float64, rounded to the nearest.
///
/// # Errors
/// `out_of_range` when it is too large.
pub fn f64(text: &str) -> Result<f64, RejectCode> {
    let value: f64 = text.parse().map_err(|_| RejectCode::WrongType)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(RejectCode::OutOfRange)
    }
}

/// A float32, rounded to the nearest in one step.
///
/// # Errors
/// `out_of_range` when it is too large.
pub fn f32(text: &str) -> Result<f32, RejectCode> {
    let value: f32 = text.parse().map_err(|_| RejectCode::WrongType)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(RejectCode::OutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_exact_or_refused() {
        assert_eq!(integer("9007199254740993"), Ok(9_007_199_254_740_993));
        assert_eq!(integer("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(integer("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer("9223372036854775808"), Err(RejectCode::OutOfRange));
        assert_eq!(integer("1e3"), Ok(1000));
        assert_eq!(integer("-12.50e1"), Ok(-125));
        assert_eq!(integer("2.0"), Ok(2));
        assert_eq!(integer("-0"), Ok(0));
        assert_eq!(integer("0e999999999999999999999"), Ok(0));
        assert_eq!(integer("1e999999999999999999999"), Err(RejectCode::OutOfRange));
        assert_eq!(integer("1e-1"), Err(RejectCode::NotExact));
        for no_number in ["", "-", "01", "1.", "0x1", "1 ", "+1", "NaN", "१"] {
            assert_eq!(integer(no_number), Err(RejectCode::WrongType), "{no_number:?}");
        }
    }

    #[test]
    fn decimals_keep_every_digit() {
        assert_eq!(decimal("1.25", 10, 2), Ok(125));
        assert_eq!(decimal("-1.250000", 10, 2), Ok(-125));
        assert_eq!(decimal("1.255", 10, 2), Err(RejectCode::NotExact));
        assert_eq!(decimal("100", 4, 2), Err(RejectCode::OutOfRange));
        assert_eq!(decimal("99.99", 4, 2), Ok(9999));
        assert_eq!(decimal(&"9".repeat(38), 38, 0), Ok(10_i128.pow(38) - 1));
        assert_eq!(decimal(&"9".repeat(39), 38, 0), Err(RejectCode::OutOfRange));
        assert_eq!(decimal("0.00000000000000000000000000000000000001", 38, 38), Ok(1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any::<i64>(), unscaled in any::<i64>(), scale in 0u8..19) {
            prop_assert_eq!(integer(&value.to_string()), Ok(value));
            let mut text = Vec::new();
            crate::json::write::decimal(&mut text, unscaled.into(), scale);
            let text = String::from_utf8(text).expect("UTF-8");
            prop_assert_eq!(decimal(text.trim_matches('"'), 38, scale), Ok(i128::from(unscaled)));
        }
    }
}
