//! Which part of a query is to blame for an error that the planner gives no place for.
//!
//! Every operator and function call is tried as null, the small ones first: the first whose absence changes the error is the
//! part that is wrong. Only a query that is refused pays for it, and no more than [`TRIES`] plans.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::{
    ast::{Expr, Spanned, Value, Visit, VisitMut, visit_expressions, visit_expressions_mut},
    tokenizer::Span,
};

use crate::{Position, SqlError, syntax::position};

const TRIES: usize = 200;

/// Gives `error` a place, if a part of `node` can be found to blame.
pub(crate) fn blame<N: Visit + VisitMut + Clone>(
    node: &N,
    error: SqlError,
    plan: impl Fn(&N) -> Result<(), SqlError>,
) -> SqlError {
    if error.position.is_some() {
        return error;
    }
    let mut suspects: Vec<Span> = Vec::new();
    let _: ControlFlow<()> = visit_expressions(node, |expr| {
        if can_be_wrong(expr) && position(expr.span()).is_some() {
            suspects.push(expr.span());
        }
        ControlFlow::Continue(())
    });
    // Within one another the inner comes first: it ends no later and begins no earlier.
    suspects.sort_by_key(|span| (span.end, std::cmp::Reverse(span.start)));
    suspects.dedup();
    for suspect in suspects.into_iter().take(TRIES) {
        let mut without = node.clone();
        let _: ControlFlow<()> = visit_expressions_mut(&mut without, |expr| {
            if can_be_wrong(expr) && expr.span() == suspect {
                *expr = Expr::Value(Value::Null.into());
            }
            ControlFlow::Continue(())
        });
        let cleared = match plan(&without) {
            Ok(()) => true,
            Err(other) => other.kind != error.kind || other.message != error.message,
        };
        if cleared {
            return error.at(position(suspect));
        }
    }
    error.at(first_place(node))
}

/// Where the text begins, for an error that no single part is to blame for.
fn first_place<N: Visit>(node: &N) -> Option<Position> {
    let mut first = None;
    let _: ControlFlow<()> = visit_expressions(node, |expr| {
        first = match (first, position(expr.span())) {
            (Some(a), Some(b)) => Some(std::cmp::min::<Position>(a, b)),
            (a, b) => a.or(b),
        };
        ControlFlow::Continue(())
    });
    first
}

const fn can_be_wrong(expr: &Expr) -> bool {
    !matches!(
        expr,
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) | Expr::Nested(_)
    )
}
