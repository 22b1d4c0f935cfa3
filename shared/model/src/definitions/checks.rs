//! What a feature's values must be like, and what happens to those that are not.

use std::cmp::Ordering;

use serde::Serialize;
use serde_json::Number;

use super::reader::Node;
use crate::DataType;

/// Checks of one feature. Null passes everything but `not_null`; NaN is in no range.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checks {
    /// Inclusive; numbers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Number>,
    /// Inclusive; numbers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Number>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not_null: bool,
    /// Texts only: the values that are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<String>>,
    pub on_fail: OnFail,
}

/// What happens to a value that fails a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFail {
    /// The row is refused.
    #[default]
    Reject,
    /// Null takes its place.
    Null,
    /// It is stored and counted.
    Warn,
}

impl Checks {
    pub(super) fn read(node: Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let min = fields.optional("min", |node| node.number());
        let max = fields.optional("max", |node| node.number());
        let not_null = fields.optional("not_null", |node| node.boolean()).unwrap_or_default();
        let one_of = fields.optional("one_of", |node| node.list(1_000, |item| item.text().map(str::to_owned)));
        // Unquoted, YAML's `on_fail: null` is no text, and yet it says what it says.
        let unquoted = node.value.get("on_fail").is_some_and(serde_json::Value::is_null);
        let on_fail = fields
            .optional("on_fail", |node| {
                node.word(&[
                    ("reject", OnFail::Reject),
                    ("null", OnFail::Null),
                    ("warn", OnFail::Warn),
                ])
            })
            .unwrap_or(if unquoted { OnFail::Null } else { OnFail::Reject });
        fields.finish();
        if not_null && on_fail == OnFail::Null {
            node.problem("invalid_combination", "`not_null` with `on_fail: null` can never hold");
        }
        if let (Some(min), Some(max)) = (&min, &max)
            && compare(min, max) == Ordering::Greater
        {
            node.problem("invalid_combination", "`min` is above `max`");
        }
        Some(Self {
            min,
            max,
            not_null,
            one_of,
            on_fail,
        })
    }

    /// Why these checks cannot be made on values of this type.
    pub(super) fn unfit_for(&self, data_type: &DataType) -> Option<&'static str> {
        let numeric = matches!(
            data_type,
            DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64 | DataType::Decimal { .. }
        );
        if !numeric && (self.min.is_some() || self.max.is_some()) {
            return Some("`min` and `max` are for numbers");
        }
        if *data_type != DataType::String && self.one_of.is_some() {
            return Some("`one_of` is for strings");
        }
        None
    }

    /// Whether an integer is in range; exact.
    #[must_use]
    pub fn admits_i64(&self, value: i64) -> bool {
        self.min
            .as_ref()
            .is_none_or(|min| compare_i64(value, min) != Ordering::Less)
            && self
                .max
                .as_ref()
                .is_none_or(|max| compare_i64(value, max) != Ordering::Greater)
    }

    /// Whether a float is in range; NaN is in none.
    #[must_use]
    pub fn admits_f64(&self, value: f64) -> bool {
        let bound = |number: &Number| number.as_f64().unwrap_or(f64::NAN);
        self.min.as_ref().is_none_or(|min| value >= bound(min))
            && self.max.as_ref().is_none_or(|max| value <= bound(max))
    }

    #[must_use]
    pub fn admits_str(&self, value: &str) -> bool {
        self.one_of
            .as_ref()
            .is_none_or(|allowed| allowed.iter().any(|text| text == value))
    }

    /// What the checks ask for, to tell a caller whose value fails them.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if let Some(min) = &self.min {
            parts.push(format!("at least {min}"));
        }
        if let Some(max) = &self.max {
            parts.push(format!("at most {max}"));
        }
        if let Some(allowed) = &self.one_of {
            let shown: Vec<_> = allowed.iter().take(10).map(|t| format!("`{t}`")).collect();
            parts.push(format!("one of {}", shown.join(", ")));
        }
        if self.not_null {
            parts.push("not null".to_owned());
        }
        parts.join(", ")
    }
}

fn compare_i64(value: i64, bound: &Number) -> Ordering {
    if let Some(bound) = bound.as_i64() {
        return value.cmp(&bound);
    }
    if bound.is_u64() {
        return Ordering::Less;
    }
    // A bound with a fraction: whole parts decide, and only within one whole number the fraction does.
    let bound = bound.as_f64().unwrap_or(f64::NAN);
    let whole = bound.floor();
    if whole >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if whole < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    #[allow(clippy::cast_possible_truncation)] // checked to be in range just above
    let below = whole as i64;
    value
        .cmp(&below)
        .then(if bound > whole { Ordering::Less } else { Ordering::Equal })
}

fn compare(a: &Number, b: &Number) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(min: &str, max: &str) -> Checks {
        let number = |text: &str| serde_json::from_str(text).expect("a number");
        Checks {
            min: Some(number(min)),
            max: Some(number(max)),
            not_null: false,
            one_of: None,
            on_fail: OnFail::Reject,
        }
    }

    #[test]
    fn integers_are_compared_exactly() {
        let checks = between("-9007199254740993", "9007199254740993");
        assert!(checks.admits_i64(9_007_199_254_740_993));
        assert!(!checks.admits_i64(9_007_199_254_740_994));
        assert!(!checks.admits_i64(-9_007_199_254_740_994));
    }

    #[test]
    fn a_fraction_bounds_integers() {
        let checks = between("0.5", "2.5");
        let inside: Vec<i64> = (-1..5).filter(|v| checks.admits_i64(*v)).collect();
        assert_eq!(inside, [1, 2]);
        let checks = between("-2.5", "1e300");
        assert!(!checks.admits_i64(-3) && checks.admits_i64(-2) && checks.admits_i64(i64::MAX));
    }

    #[test]
    fn nan_is_in_no_range() {
        assert!(!between("0", "1").admits_f64(f64::NAN));
        assert!(between("0", "1").admits_f64(1.0));
        assert!(!between("0", "1").admits_f64(1.000_000_1));
    }
}
