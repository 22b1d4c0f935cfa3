//! Spines made from the histories themselves.

use std::sync::Arc;

use datafusion::common::{Result, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ident};
use forebay_rows::arrow_types::EVENT_TIME;

use crate::{GroupHistory, WinningRows};

/// Every distinct key and event time at which one of the groups has a row that is not a delete: keys, `event_time`. `filters` are on these columns.
///
/// # Errors
/// When the groups' keys differ in name or type.
pub(crate) fn moments(histories: &[&GroupHistory], filters: &[Expr], known_at: Option<i64>) -> Result<LogicalPlan> {
    let Some(first) = histories.first() else {
        return plan_err!("Moments are those of at least one group.");
    };
    let mut columns: Vec<Expr> = first.schema.keys.iter().map(|key| ident(key.name.as_str())).collect();
    columns.push(ident(EVENT_TIME));
    let mut all: Option<LogicalPlanBuilder> = None;
    for history in histories {
        if !has_same_keys(first, history) {
            return plan_err!("{} and {} have different keys.", first.schema.name, history.schema.name);
        }
        let winners = Arc::new(WinningRows::new((*history).clone(), known_at));
        let mut plan = LogicalPlanBuilder::scan("winners", provider_as_source(winners), None)?;
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            plan = plan.filter(filter)?;
        }
        let plan = plan.project(columns.clone())?;
        all = Some(match all {
            None => plan,
            // One group's winners are distinct already.
            Some(others) => others.union_distinct(plan.build()?)?,
        });
    }
    match all {
        Some(plan) => plan.build(),
        None => plan_err!("Moments are those of at least one group."),
    }
}

/// The same key columns, in any order.
pub(crate) fn has_same_keys(a: &GroupHistory, b: &GroupHistory) -> bool {
    let (a, b) = (&a.schema.keys, &b.schema.keys);
    a.len() == b.len() && a.iter().all(|key| b.contains(key))
}
