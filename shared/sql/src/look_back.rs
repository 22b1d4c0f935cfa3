//! How far behind its interval a query reads.

use arrow::datatypes::{IntervalDayTime, IntervalMonthDayNano};
use datafusion_common::{
    ScalarValue,
    tree_node::{TreeNode, TreeNodeRecursion},
};
use datafusion_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use forebay_model::Duration;

const DAY: i64 = 86_400_000_000;

/// The longest interval that is subtracted from a bound of the run's interval, or added to anything else (`at + INTERVAL '7 days' >=
/// {{ start }}` reads as far back), anywhere in the plan; zero when there is none. Months count 31 days and years 366, so that it is
/// never too short.
pub(crate) fn derive(plan: &LogicalPlan) -> Duration {
    let mut longest = 0;
    let visited = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                let micros = subtracted_from_bound(part).or_else(|| added(part));
                longest = longest.max(micros.unwrap_or_default());
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    debug_assert!(visited.is_ok(), "the closures never fail");
    Duration::from_micros(longest)
}

/// `bound - interval`, also nested: `bound - a - b`.
fn subtracted_from_bound(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let inner = subtracted_from_bound(left)?;
            let step = micros(right)?;
            match op {
                Operator::Minus => Some(inner.saturating_add(step)),
                Operator::Plus => Some(inner.saturating_sub(step)),
                _ => None,
            }
        }
        Expr::Placeholder(_) => Some(0),
        Expr::Cast(cast) => subtracted_from_bound(&cast.expr),
        Expr::TryCast(cast) => subtracted_from_bound(&cast.expr),
        Expr::Alias(alias) => subtracted_from_bound(&alias.expr),
        Expr::ScalarFunction(function) if function.name() == "arrow_cast" => {
            function.args.first().and_then(subtracted_from_bound)
        }
        // Cutting to a unit steps back by less than one unit.
        Expr::ScalarFunction(function) if function.name() == "date_trunc" => {
            let unit = match function.args.first()? {
                Expr::Literal(ScalarValue::Utf8(Some(unit)) | ScalarValue::Utf8View(Some(unit)), _) => {
                    unit_micros(unit)?
                }
                _ => return None,
            };
            Some(subtracted_from_bound(function.args.get(1)?)?.saturating_add(unit))
        }
        _ => None,
    }
}

fn added(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Plus,
            right,
        }) => micros(right).or_else(|| micros(left)),
        _ => None,
    }
}

fn unit_micros(unit: &str) -> Option<i64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "year" => 366 * DAY,
        "quarter" => 92 * DAY,
        "month" => 31 * DAY,
        "week" => 7 * DAY,
        "day" => DAY,
        "hour" => DAY / 24,
        "minute" => DAY / 1_440,
        "second" => 1_000_000,
        "millisecond" => 1_000,
        "microsecond" => 1,
        _ => return None,
    })
}

fn micros(expr: &Expr) -> Option<i64> {
    let from_parts = |months: i32, days: i32, micros: i64| {
        i64::from(months)
            .saturating_mul(31)
            .saturating_add(i64::from(days))
            .saturating_mul(DAY)
            .saturating_add(micros)
    };
    match expr {
        Expr::Cast(cast) => micros(&cast.expr),
        Expr::Literal(value, _) => Some(match value {
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano {
                months,
                days,
                nanoseconds,
            })) => from_parts(*months, *days, nanoseconds / 1_000 + i64::from(nanoseconds % 1_000 > 0)),
            ScalarValue::IntervalDayTime(Some(IntervalDayTime { days, milliseconds })) => {
                from_parts(0, *days, i64::from(*milliseconds) * 1_000)
            }
            ScalarValue::IntervalYearMonth(Some(months)) => from_parts(*months, 0, 0),
            ScalarValue::DurationSecond(Some(value)) => value.saturating_mul(1_000_000),
            ScalarValue::DurationMillisecond(Some(value)) => value.saturating_mul(1_000),
            ScalarValue::DurationMicrosecond(Some(value)) => *value,
            ScalarValue::DurationNanosecond(Some(value)) => value / 1_000 + 1,
            _ => return None,
        }),
        _ => None,
    }
}
