//! What the columns of a plan are made from, node by node.

use datafusion_common::Result as DFResult;
use datafusion_expr::{
    Aggregate, Distinct, Expr, Join, JoinType, LogicalPlan, TableScan, Unnest, logical_plan::DistinctOn,
    utils::grouping_set_to_exprlist,
};

use super::{
    SourceColumn,
    columns::{Made, Relation, Scope},
    expr::Tracer,
};
use crate::TableName;

pub(super) fn trace(plan: &LogicalPlan, outer: &[Scope<'_>]) -> Relation {
    match plan {
        LogicalPlan::TableScan(scan) => scanned(scan),
        LogicalPlan::Projection(projection) => over(&projection.input, outer, |input, tracer| {
            let columns = projection.expr.iter().map(|expr| tracer.trace(expr)).collect();
            Relation {
                columns,
                ..input.without_columns()
            }
        }),
        LogicalPlan::Filter(filter) => over(&filter.input, outer, |input, tracer| {
            let mut relation = input.clone();
            relation.rows_decided_by(tracer.trace(&filter.predicate));
            relation
        }),
        LogicalPlan::Sort(sort) => over(&sort.input, outer, |input, tracer| {
            let mut relation = input.clone();
            relation.rows_decided_by(tracer.sorts(&sort.expr));
            relation
        }),
        LogicalPlan::Limit(limit) => over(&limit.input, outer, |input, tracer| {
            let mut relation = input.clone();
            relation.rows_decided_by(tracer.all(limit.skip.as_deref()));
            relation.rows_decided_by(tracer.all(limit.fetch.as_deref()));
            relation
        }),
        LogicalPlan::Window(window) => over(&window.input, outer, |input, tracer| {
            let mut relation = input.clone();
            relation
                .columns
                .extend(window.window_expr.iter().map(|expr| tracer.trace(expr)));
            relation
        }),
        LogicalPlan::Aggregate(aggregate) => over(&aggregate.input, outer, |input, tracer| {
            grouped(aggregate, input, tracer)
        }),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let mut relation = trace(input, outer);
            relation.rows_decided_by(relation.whole());
            relation
        }
        LogicalPlan::Distinct(Distinct::On(distinct)) => over(&distinct.input, outer, |input, tracer| {
            distinct_on(distinct, input, tracer)
        }),
        LogicalPlan::Join(join) => joined(join, outer),
        LogicalPlan::Union(union) => {
            let mut relation = Relation::default();
            relation.columns.resize(union.schema.fields().len(), Made::default());
            for input in &union.inputs {
                let input = trace(input, outer);
                relation.take_rows(&input);
                for (column, made) in relation.columns.iter_mut().zip(input.columns) {
                    column.add(made);
                }
            }
            relation
        }
        LogicalPlan::Values(values) => {
            let empty = Relation::default();
            let mut tracer = Tracer::new(
                Scope {
                    schema: datafusion_common::DFSchema::empty_ref(),
                    relation: &empty,
                },
                outer,
            );
            let mut columns = vec![Made::default(); values.schema.fields().len()];
            for row in &values.values {
                for (column, expr) in columns.iter_mut().zip(row) {
                    column.add(tracer.trace(expr));
                }
            }
            Relation {
                columns,
                tables: tracer.tables,
                ..Relation::default()
            }
        }
        LogicalPlan::SubqueryAlias(alias) => trace(&alias.input, outer),
        LogicalPlan::Subquery(subquery) => trace(&subquery.subquery, outer),
        LogicalPlan::Repartition(repartition) => trace(&repartition.input, outer),
        LogicalPlan::Unnest(unnest) => unnested(unnest, outer),
        LogicalPlan::EmptyRelation(_) => Relation {
            columns: vec![Made::default(); plan.schema().fields().len()],
            ..Relation::default()
        },
        other => everything(other, outer),
    }
}

/// Traces the input, then the node's expressions over it; what their subqueries read is read by the node.
fn over(
    input: &LogicalPlan,
    outer: &[Scope<'_>],
    node: impl FnOnce(&Relation, &mut Tracer<'_>) -> Relation,
) -> Relation {
    let relation = trace(input, outer);
    let scope = Scope {
        schema: input.schema(),
        relation: &relation,
    };
    let mut tracer = Tracer::new(scope, outer);
    let mut traced = node(&relation, &mut tracer);
    traced.tables.extend(tracer.tables);
    traced
}

impl Relation {
    fn without_columns(&self) -> Self {
        Self {
            columns: Vec::new(),
            rows: self.rows.clone(),
            tables: self.tables.clone(),
        }
    }
}

fn scanned(scan: &TableScan) -> Relation {
    let table = TableName::from_reference(&scan.table_name);
    let columns = scan.projected_schema.fields().iter().map(|field| {
        let column = SourceColumn {
            table: table.clone(),
            column: field.name().clone(),
        };
        Made {
            value: [column].into(),
            ..Made::default()
        }
    });
    Relation {
        columns: columns.collect(),
        tables: [table.clone()].into(),
        ..Relation::default()
    }
}

fn grouped(aggregate: &Aggregate, input: &Relation, tracer: &mut Tracer<'_>) -> Relation {
    let groups: DFResult<Vec<&Expr>> = grouping_set_to_exprlist(&aggregate.group_expr);
    let groups = groups.unwrap_or_else(|_| aggregate.group_expr.iter().collect());
    let groups: Vec<Made> = groups.into_iter().map(|expr| tracer.trace(expr)).collect();
    let mut relation = input.without_columns();
    for group in &groups {
        relation.rows_decided_by(group.clone());
    }
    let aggregates: Vec<Made> = aggregate.aggr_expr.iter().map(|expr| tracer.trace(expr)).collect();
    // Between the two stands the number of the grouping set, when there are several.
    let width = aggregate.schema.fields().len();
    let between = width.saturating_sub(groups.len() + aggregates.len());
    relation.columns = groups;
    relation.columns.extend(vec![Made::default(); between]);
    relation.columns.extend(aggregates);
    relation
}

fn distinct_on(distinct: &DistinctOn, input: &Relation, tracer: &mut Tracer<'_>) -> Relation {
    let mut relation = input.without_columns();
    relation.rows_decided_by(tracer.all(&distinct.on_expr));
    relation.rows_decided_by(tracer.sorts(distinct.sort_expr.as_deref().unwrap_or_default()));
    relation.columns = distinct.select_expr.iter().map(|expr| tracer.trace(expr)).collect();
    relation
}

fn joined(join: &Join, outer: &[Scope<'_>]) -> Relation {
    let left = trace(&join.left, outer);
    // A lateral right side names columns of the left.
    let mut lateral = outer.to_vec();
    lateral.push(Scope {
        schema: join.left.schema(),
        relation: &left,
    });
    let right = trace(&join.right, &lateral);
    let mut both = Relation::default();
    both.take_rows(&left);
    both.take_rows(&right);
    both.columns = left.columns.iter().chain(&right.columns).cloned().collect();
    let schema = join.left.schema().join(join.right.schema());
    if let Ok(schema) = &schema {
        let mut tracer = Tracer::new(
            Scope {
                schema,
                relation: &both,
            },
            outer,
        );
        let mut conditions = tracer.all(join.on.iter().flat_map(|(left, right)| [left, right]));
        conditions.add(tracer.all(join.filter.as_ref()));
        let tables = tracer.tables;
        both.tables.extend(tables);
        both.rows_decided_by(conditions);
    } else {
        // Two unnamed columns of one name: which is meant cannot be told.
        let whole = both.whole();
        both.rows_decided_by(whole);
    }
    match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti => both.columns.truncate(left.columns.len()),
        JoinType::RightSemi | JoinType::RightAnti => both.columns = right.columns,
        JoinType::LeftMark => {
            both.columns.truncate(left.columns.len());
            both.columns.push(Made::default());
        }
        JoinType::RightMark => {
            both.columns = right.columns;
            both.columns.push(Made::default());
        }
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {}
    }
    both
}

fn unnested(unnest: &Unnest, outer: &[Scope<'_>]) -> Relation {
    let input = trace(&unnest.input, outer);
    let scope = Scope {
        schema: unnest.input.schema(),
        relation: &input,
    };
    let mut relation = input.without_columns();
    for column in &unnest.exec_columns {
        relation.rows_decided_by(scope.made(column).unwrap_or_else(|| input.whole()));
    }
    relation.columns = (0..unnest.schema.fields().len())
        .map(|i| {
            let source = unnest
                .dependency_indices
                .get(i)
                .and_then(|index| input.columns.get(*index));
            source.cloned().unwrap_or_else(|| input.whole())
        })
        .collect();
    relation
}

/// A node that is not known here: every column may depend on everything below it.
fn everything(plan: &LogicalPlan, outer: &[Scope<'_>]) -> Relation {
    let mut relation = Relation::default();
    let mut whole = Made::default();
    for input in plan.inputs() {
        let input = trace(input, outer);
        relation.take_rows(&input);
        whole.add(input.whole());
    }
    relation.columns = vec![whole; plan.schema().fields().len()];
    relation
}
