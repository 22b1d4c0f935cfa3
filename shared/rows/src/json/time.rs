//! Timestamps and dates from their text.

use chrono::NaiveDate;
use forebay_model::Timestamp;

use super::write::{MAX_DATE, MIN_DATE};

/// A timestamp as [`Timestamp::parse`] reads it, faster for the usual form.
#[must_use]
pub fn timestamp(text: &str) -> Option<i64> {
    usual(text.as_bytes()).or_else(|| Timestamp::parse(text).ok().map(Timestamp::micros))
}

/// `YYYY-MM-DDTHH:MM:SS`, up to six digits of the second, then `Z` or an offset. `None` for what is not so, be it valid or not.
fn usual(text: &[u8]) -> Option<i64> {
    let (head, mut rest) = text.split_first_chunk::<19>()?;
    if [head[4], head[7], head[13], head[16]] != *b"--::" || !matches!(head[10], b'T' | b't') {
        return None;
    }
    let days = days(head.first_chunk()?)?;
    let (hour, minute, second) = (number(&head[11..13])?, number(&head[14..16])?, number(&head[17..19])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros = 0;
    if let [b'.', fraction @ ..] = rest {
        let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=6).contains(&length) {
            return None;
        }
        micros = number(&fraction[..length])? * 10_i64.pow(6 - length as u32);
        rest = &fraction[length..];
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3_600 + minutes * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    let time = seconds * 1_000_000 + micros;
    Timestamp::from_micros(time).is_writable().then_some(time)
}

/// `YYYY-MM-DD` as days since 1970-01-01.
#[must_use]
pub fn date(text: &str) -> Option<i32> {
    let days = i32::try_from(days(text.as_bytes().try_into().ok()?)?).ok()?;
    (MIN_DATE..=MAX_DATE).contains(&days).then_some(days)
}

fn days(text: &[u8; 10]) -> Option<i64> {
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..])?);
    let date = NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32)?;
    Some(date.to_epoch_days().into())
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_real_days() {
        assert_eq!(date("1970-01-02"), Some(1));
        assert_eq!(date("2024-02-29"), Some(19_782));
        for bad in [
            "2023-02-29",
            "1970-1-1",
            "1970-01-01T00:00:00Z",
            "",
            "+970-01-01",
            "1970/01/01",
        ] {
            assert_eq!(date(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn offsets_are_normalised() {
        assert_eq!(timestamp("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(timestamp("1969-12-31T23:59:59.999999-00:30"), Some(1_799_999_999));
        assert_eq!(timestamp("1970-01-01T00:00:00.0000001Z"), None);
        assert_eq!(timestamp("1970-01-01T00:00:00.0000010Z"), Some(1));
        assert_eq!(timestamp("not a time"), None);
    }

    proptest! {
        #[test]
        fn the_fast_way_agrees_with_the_model(text in r"(0000|1969|2024|9999)-(02|12|13)-(28|29|31)[T t]([01][0-9]|2[0-5]):[0-6][0-9]:[0-6][0-9](\.[0-9]{1,7}|)(Z|z|[+-][012][0-9]:[0-6][0-9]|)") {
            prop_assert_eq!(timestamp(&text), Timestamp::parse(&text).ok().map(Timestamp::micros), "{}", text);
        }
    }
}
