use forebay_catalog::{Group, GroupFeature};
use forebay_model::{
    DataType,
    definitions::{Checks, OnFail},
};
use forebay_rows::{Reject, RejectCode, RowView, json::number};

use super::decoded::{Part, Rejections};

/// The rows whose value fails a check.
enum Judge<'a> {
    I32(&'a Checks),
    I64(&'a Checks),
    F32(&'a Checks),
    F64(&'a Checks),
    /// The least and greatest unscaled value.
    Decimal(i128, i128),
    String(&'a Checks),
    /// Whether there is a value is all that can be asked.
    Presence,
}

/// Makes the checks of a group's features: rejects rows, makes values null, or counts, as each check says.
pub fn apply(group: &Group, part: &mut Part, rejections: &mut Rejections) {
    for feature in &group.features {
        let Some(checks) = &feature.definition.checks else {
            continue;
        };
        let judge = Judge::new(checks, &feature.definition.data_type);
        let fails: Vec<bool> = (0..part.rows.len())
            .map(|row| {
                part.rows
                    .view(row)
                    .is_ok_and(|view| judge.fails(checks, &view, feature.slot))
            })
            .collect();
        let failed = fails.iter().filter(|fails| **fails).count();
        if failed == 0 {
            continue;
        }
        match checks.on_fail {
            OnFail::Reject => part.sift(rejections, |row| fails[row].then(|| reason(feature, checks))),
            OnFail::Null => (0..fails.len())
                .filter(|row| fails[*row])
                .for_each(|row| part.rows.set_null(row, feature.slot)),
            OnFail::Warn => {}
        }
        let on_fail = match checks.on_fail {
            OnFail::Reject => "reject",
            OnFail::Null => "null",
            OnFail::Warn => "warn",
        };
        let labels = [
            ("group", group.name.to_string()),
            ("feature", feature.definition.name.to_string()),
            ("on_fail", on_fail.to_owned()),
        ];
        metrics::counter!("forebay_failed_checks_total", &labels).increment(failed as u64);
    }
}

fn reason(feature: &GroupFeature, checks: &Checks) -> Reject {
    let detail = format!("the value fails the feature's check: {}", checks.describe());
    Reject::of_field(feature.definition.name.as_str(), RejectCode::CheckFailed, detail)
}

impl<'a> Judge<'a> {
    fn new(checks: &'a Checks, data_type: &DataType) -> Self {
        match data_type {
            DataType::Int32 => Self::I32(checks),
            DataType::Int64 => Self::I64(checks),
            DataType::Float32 => Self::F32(checks),
            DataType::Float64 => Self::F64(checks),
            DataType::String => Self::String(checks),
            DataType::Decimal { scale, .. } => {
                let bound = |number: &Option<serde_json::Number>, open, up: bool| {
                    number.as_ref().map_or(open, |number| unscaled(number, *scale, up))
                };
                Self::Decimal(
                    bound(&checks.min, i128::MIN, true),
                    bound(&checks.max, i128::MAX, false),
                )
            }
            _ => Self::Presence,
        }
    }

    fn fails(&self, checks: &Checks, row: &RowView<'_>, slot: usize) -> bool {
        if row.head().deleted {
            return false;
        }
        if !row.is_present(slot) {
            return checks.not_null;
        }
        !match self {
            Self::I32(checks) => checks.admits_i64(row.i32(slot).into()),
            Self::I64(checks) => checks.admits_i64(row.i64(slot)),
            Self::F32(checks) => checks.admits_f64(row.f32(slot).into()),
            Self::F64(checks) => checks.admits_f64(row.f64(slot)),
            Self::Decimal(min, max) => (*min..=*max).contains(&row.decimal(slot)),
            Self::String(checks) => row.str(slot).is_ok_and(|text| checks.admits_str(text)),
            Self::Presence => true,
        }
    }
}

/// The bound times 10^scale; where that is no whole number, the next one above or below.
fn unscaled(bound: &serde_json::Number, scale: u8, up: bool) -> i128 {
    match number::decimal(&bound.to_string(), 38, scale) {
        Ok(exact) => exact,
        Err(_) => {
            let value = bound.as_f64().unwrap_or(f64::NAN) * 10_f64.powi(scale.into());
            // Saturates, as a bound beyond all decimals should.
            (if up { value.ceil() } else { value.floor() }) as i128
        }
    }
}
