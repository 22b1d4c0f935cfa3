//! From syntax tree to analysed logical plan, without an engine.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use datafusion_common::{
    DFSchema, DataFusionError, Result as DFResult, SchemaError, TableReference, config::ConfigOptions, plan_err,
};
use datafusion_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
    planner::{ContextProvider, ExprPlanner},
};
use datafusion_optimizer::Analyzer;
use datafusion_sql::{
    planner::{PlannerContext, SqlToRel},
    sqlparser::ast::{Expr as SqlExpr, Statement},
};

use crate::{ErrorKind, Position, SqlError, TableName, Tables, functions::FUNCTIONS};

/// Plans a query and analyses it (functions resolved, types coerced); nothing is optimised, so that every dependency is still
/// there.
pub(crate) fn plan_query(statement: &Statement, tables: &Tables) -> Result<LogicalPlan, SqlError> {
    let context = Context { tables };
    let plan = SqlToRel::new(&context)
        .sql_statement_to_plan(statement.clone())
        .map_err(|error| explain(&error))?;
    Analyzer::new()
        .execute_and_check(plan, &FUNCTIONS.options, |_, _| {})
        .map_err(|error| explain(&error))
}

/// Plans an expression over the columns of `schema`; types are not yet coerced.
pub(crate) fn plan_expression(expr: &SqlExpr, schema: &DFSchema) -> Result<Expr, SqlError> {
    let tables = Tables::new();
    let context = Context { tables: &tables };
    SqlToRel::new(&context)
        .sql_to_expr(expr.clone(), schema, &mut PlannerContext::new())
        .map_err(|error| explain(&error))
}

struct Context<'a> {
    tables: &'a Tables,
}

struct Table(SchemaRef);

impl TableSource for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }
}

impl ContextProvider for Context<'_> {
    fn get_table_source(&self, name: TableReference) -> DFResult<Arc<dyn TableSource>> {
        match self.tables.schema(&TableName::from_reference(&name)) {
            Some(schema) => Ok(Arc::new(Table(Arc::clone(schema)))),
            None => plan_err!("there is no table `{name}`"),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &FUNCTIONS.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        FUNCTIONS.scalar.get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        FUNCTIONS.higher_order.get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        FUNCTIONS.aggregate.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        FUNCTIONS.window.get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<ArrowType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &FUNCTIONS.options
    }

    fn udf_names(&self) -> Vec<String> {
        FUNCTIONS.scalar.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        FUNCTIONS.higher_order.keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        FUNCTIONS.aggregate.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        FUNCTIONS.window.keys().cloned().collect()
    }
}

/// Says a planner's error in our words, with its place where the planner knows it.
pub(crate) fn explain(error: &DataFusionError) -> SqlError {
    let place = error
        .diagnostic()
        .and_then(|diagnostic| diagnostic.span)
        .map(|span| Position {
            line: span.start.line,
            column: span.start.column,
        });
    let root = error.find_root();
    let explained = match root {
        DataFusionError::SchemaError(schema, _) => explain_schema(schema),
        DataFusionError::NotImplemented(message) => SqlError::new(ErrorKind::NotSupported, first_line(message)),
        DataFusionError::Plan(message) if message.contains("have the same name") => {
            // `… "price AS x" at position 0 and "stock AS x" at position 1 have the same name …`
            let second = message.split('"').nth(3).unwrap_or_default();
            let name = second.rsplit(" AS ").next().unwrap_or_default();
            SqlError::new(
                ErrorKind::DuplicateColumn,
                format!("the query gives two columns `{name}`: give one another name"),
            )
        }
        DataFusionError::Plan(message) if is_about_types(message) => {
            SqlError::new(ErrorKind::WrongType, first_line(message))
        }
        DataFusionError::Plan(message)
        | DataFusionError::Configuration(message)
        | DataFusionError::Execution(message)
        | DataFusionError::Internal(message) => SqlError::new(ErrorKind::Invalid, first_line(message)),
        other => SqlError::new(ErrorKind::Invalid, first_line(&other.strip_backtrace())),
    };
    match (explained.position, place) {
        (None, place) => explained.at(place),
        _ => explained,
    }
}

fn explain_schema(error: &SchemaError) -> SqlError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let name = field.flat_name();
            let place = field.spans.first().map(|span| Position {
                line: span.start.line,
                column: span.start.column,
            });
            let qualified = field.relation.is_some();
            let known: Vec<String> = valid_fields
                .iter()
                .map(|column| {
                    if qualified {
                        column.flat_name()
                    } else {
                        column.name.clone()
                    }
                })
                .collect();
            SqlError::new(ErrorKind::UnknownColumn, format!("there is no column `{name}`"))
                .at(place)
                .nearest_of(&name, known.iter().map(String::as_str))
        }
        SchemaError::AmbiguousReference { field } => SqlError::new(
            ErrorKind::AmbiguousColumn,
            format!(
                "`{}` may be one of several columns: write its table before it, or give one another name",
                field.name
            ),
        )
        .at(field.spans.first().map(|span| Position {
            line: span.start.line,
            column: span.start.column,
        })),
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            SqlError::new(ErrorKind::DuplicateColumn, format!("there are two columns `{name}`"))
        }
    }
}

fn is_about_types(message: &str) -> bool {
    ["coerc", "type", "Cannot infer", "signature", "cast"]
        .iter()
        .any(|word| message.contains(word))
}

/// The planner lists candidates and backtraces behind the first line.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    line.strip_prefix("type_coercion\ncaused by\n")
        .unwrap_or(line)
        .to_owned()
}
