//! What an expression is made from.

use std::collections::BTreeSet;

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::{
    Expr, Subquery,
    expr::{AggregateFunctionParams, Sort, WindowFunctionParams},
};

use super::{
    columns::{Made, Scope},
    plan,
};
use crate::TableName;

/// Traces expressions of one plan node.
pub(super) struct Tracer<'a> {
    /// The columns of the node's input.
    pub scope: Scope<'a>,
    /// The scopes around the query, innermost last, for correlated subqueries.
    pub outer: &'a [Scope<'a>],
    /// Tables that subqueries read.
    pub tables: BTreeSet<TableName>,
}

impl<'a> Tracer<'a> {
    pub fn new(scope: Scope<'a>, outer: &'a [Scope<'a>]) -> Self {
        Self {
            scope,
            outer,
            tables: BTreeSet::new(),
        }
    }

    pub fn trace(&mut self, expr: &Expr) -> Made {
        match expr {
            // A name that cannot be found is of a column that the plan makes itself: everything may be in it.
            Expr::Column(column) => self.scope.made(column).unwrap_or_else(|| self.scope.relation.whole()),
            Expr::OuterReferenceColumn(_, column) => self
                .outer
                .iter()
                .rev()
                .find_map(|scope| scope.made(column))
                .unwrap_or_default(),
            Expr::Case(case) => {
                let mut made = Made::default();
                for (when, then) in &case.when_then_expr {
                    made.add(self.trace(then));
                    made.influenced_by(self.trace(when));
                }
                if let Some(otherwise) = &case.else_expr {
                    made.add(self.trace(otherwise));
                }
                if let Some(compared) = &case.expr {
                    made.influenced_by(self.trace(compared));
                }
                made
            }
            Expr::AggregateFunction(function) => {
                let AggregateFunctionParams {
                    args, filter, order_by, ..
                } = &function.params;
                let mut made = self.all(args);
                made.influenced_by(self.all(filter.as_deref()));
                made.influenced_by(self.sorts(order_by));
                made
            }
            Expr::WindowFunction(function) => {
                let WindowFunctionParams {
                    args,
                    partition_by,
                    order_by,
                    filter,
                    ..
                } = &function.params;
                let mut made = self.all(args);
                made.influenced_by(self.all(partition_by));
                made.influenced_by(self.sorts(order_by));
                made.influenced_by(self.all(filter.as_deref()));
                made
            }
            Expr::ScalarSubquery(subquery) => self.subquery(subquery, true),
            Expr::Exists(exists) => self.subquery(&exists.subquery, false),
            Expr::InSubquery(is_in) => {
                let mut made = self.trace(&is_in.expr);
                made.add(self.subquery(&is_in.subquery, true));
                made
            }
            Expr::SetComparison(comparison) => {
                let mut made = self.trace(&comparison.expr);
                made.add(self.subquery(&comparison.subquery, true));
                made
            }
            other => {
                let mut made = Made::default();
                let walked = other.apply_children(|child| {
                    made.add(self.trace(child));
                    Ok(TreeNodeRecursion::Continue)
                });
                debug_assert!(walked.is_ok(), "the closure never fails");
                made
            }
        }
    }

    pub fn all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) -> Made {
        let mut made = Made::default();
        for expr in exprs {
            made.add(self.trace(expr));
        }
        made
    }

    pub fn sorts(&mut self, sorts: &[Sort]) -> Made {
        self.all(sorts.iter().map(|sort| &sort.expr))
    }

    /// With its values when they are used; which rows it has decides in any case.
    fn subquery(&mut self, subquery: &Subquery, values: bool) -> Made {
        let mut outer = self.outer.to_vec();
        outer.push(self.scope);
        let relation = plan::trace(&subquery.subquery, &outer);
        self.tables.extend(relation.tables.iter().cloned());
        let mut made = Made::default();
        made.influence.extend(relation.rows.iter().cloned());
        if values {
            for column in relation.columns {
                made.add(column);
            }
        }
        made
    }
}
