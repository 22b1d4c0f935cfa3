//! Floats that are decimals of few digits, as most that people see are: prices, areas, rates, counts. Their text needs no search for the shortest one.

/// The decimals that are tried. Each power of ten below is exact as a float.
const DECIMALS: f64 = 1e8;

/// Below 2^50, so that a float just above 2^52 holds such an integer in its lowest bits.
const INTEGER: f64 = (1_u64 << 52) as f64;

/// Bytes that [`text`] may write; no float's text is longer.
pub(super) const ROOM: usize = 24;

/// Writes the shortest text that reads back as `value` to the beginning of `room`, and returns its length; `None` when `value` is no decimal of at most 8 digits
/// behind the point between 0.0001 and 10,000,000, or 0.
///
/// Such a decimal has at most 15 digits in all. Two different decimals of at most 15 digits are never the same float (2^52 > 10^15), so there is no shorter
/// text, nor another as short. The decimal is `round(value * 10^8) / 10^8` if there is one: both steps err by half a unit in the last place at most, together by less than
/// a quarter of 1; and dividing exact integers rounds to the very float that reading the text gives.
#[inline]
pub(super) fn text(value: f64, room: &mut [u8; ROOM]) -> Option<usize> {
    let magnitude = value.abs();
    // False for NaN as well.
    let is_in_range = (1e-4..1e7).contains(&magnitude) || magnitude == 0.0;
    let shifted = magnitude * DECIMALS + INTEGER;
    if !is_in_range || (shifted - INTEGER) / DECIMALS != magnitude {
        return None;
    }
    let unscaled = shifted.to_bits() & ((1 << 52) - 1);
    let (whole, fraction) = ((unscaled / 100_000_000) as u32, (unscaled % 100_000_000) as u32);
    room[0] = b'-';
    let mut end = usize::from(value.is_sign_negative());
    if whole < 10 {
        room[end] = b'0' + whole as u8;
        end += 1;
    } else {
        let digits = digits(whole);
        let leading = digits.trailing_zeros() / 8;
        room[end..end + 8].copy_from_slice(&((digits | ZEROS) >> (8 * leading)).to_le_bytes());
        end += 8 - leading as usize;
    }
    room[end] = b'.';
    end += 1;
    let digits = digits(fraction);
    room[end..end + 8].copy_from_slice(&(digits | ZEROS).to_le_bytes());
    Some(end + (8 - digits.leading_zeros() as usize / 8).max(1))
}

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// The eight decimal digits of a number below 10^8, the first in the lowest byte. Three times every part is
/// split in two, all of them side by side in one word; each division is a multiplication that is exact for so few digits.
#[inline]
fn digits(number: u32) -> u64 {
    let number = u64::from(number);
    let fours = (number / 10_000) | (number % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - tens * 10) << 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: f64) -> Option<String> {
        let mut room = [0; ROOM];
        let length = text(value, &mut room)?;
        Some(String::from_utf8(room[..length].to_vec()).expect("ASCII"))
    }

    fn shortest(value: f64) -> String {
        zmij::Buffer::new().format_finite(value).to_owned()
    }

    #[test]
    fn all_digits_are_right() {
        for number in (0..100_000_000).step_by(97).chain([99_999_999]) {
            let expected: Vec<u8> = format!("{number:08}").bytes().map(|digit| digit - b'0').collect();
            assert_eq!(digits(number).to_le_bytes(), expected[..], "{number}");
        }
    }

    #[test]
    fn the_bounds() {
        for (value, expected) in [
            (0.0, Some("0.0")),
            (-0.0, Some("-0.0")),
            (0.1, Some("0.1")),
            (-450_000.0, Some("-450000.0")),
            (0.0001, Some("0.0001")),
            (0.000_099_99, None),
            (9_999_999.999_999_99, Some("9999999.99999999")),
            (10_000_000.0, None),
            (0.000_123_451, None),
            (1.0 / 3.0, None),
            (0.1 + 0.2, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (f64::MIN_POSITIVE, None),
        ] {
            assert_eq!(written(value).as_deref(), expected, "{value}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn decimals_are_written_as_the_shortest_text(unscaled in 10_000_i64..1_000_000_000_000_000, decimals in 0_u32..9, negative: bool) {
            let unit = 10_i64.pow(decimals);
            let unscaled = (unscaled / unit * unit).max(10_000);
            let value = unscaled as f64 / DECIMALS * if negative { -1.0 } else { 1.0 };
            prop_assert_eq!(written(value), Some(shortest(value)));
        }

        #[test]
        fn whatever_is_written_is_the_shortest_text(value in prop_oneof![any::<f64>(), -1e7..1e7, -1.0..1.0_f64, (0_u64..40).prop_map(|ulps| f64::from_bits(0.3_f64.to_bits() + ulps))]) {
            if let Some(text) = written(value) {
                prop_assert_eq!(text, shortest(value));
            }
        }
    }
}
