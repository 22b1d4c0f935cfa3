//! One expression of a view, compiled once and evaluated on small batches, online and in historical queries alike.
//!
//! A row for which the expression has no value is null there and nowhere else: division of whole numbers by zero, a result
//! beyond its type's range (whole numbers do not wrap), a text that cannot be cast. Floating point follows IEEE 754: 1.0 / 0 is
//! infinity.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array},
    compute::concat,
    datatypes::{DataType as ArrowType, Field, Schema, SchemaRef},
    error::ArrowError,
};
use datafusion_common::{
    DFSchema, DataFusionError, ScalarValue, TableReference,
    tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion},
};
use datafusion_expr::{
    BinaryExpr, Expr, ExprSchemable, Operator,
    execution_props::ExecutionProps,
    expr::ScalarFunction,
    physical_planning_context::PhysicalPlanningContext,
    simplify::{ExprSimplifyResult, SimplifyContext},
};
use datafusion_optimizer::analyzer::type_coercion::TypeCoercionRewriter;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr, expressions::BinaryExpr as PhysicalBinaryExpr};
use datafusion_sql::sqlparser::ast::{Expr as SqlExpr, Spanned};
use forebay_model::DataType;

use crate::{
    ErrorKind, SqlError, arrow_type,
    blame::blame,
    conversion::{conversion, convert},
    functions::FUNCTIONS,
    model_type,
    planner::{explain, plan_expression},
    stack::on_large_stack,
    syntax::{parse_expression, position},
};

/// A compiled scalar expression. Cheap to clone; its evaluation needs no lock.
#[derive(Debug, Clone)]
pub struct Expression {
    references: Arc<[usize]>,
    schema: SchemaRef,
    physical: Arc<dyn PhysicalExpr>,
    result: DataType,
    result_type: ArrowType,
}

impl Expression {
    /// Compiles `text` over `inputs`; its result is converted to `result`, which must lose nothing.
    ///
    /// An input's name is a plain name (`price`) or a feature's full name (`product.yield.gross_yield`).
    ///
    /// # Errors
    /// With the place in `text`: what cannot be parsed, unknown inputs and functions, types that do not fit, and what an expression
    /// may not hold: subqueries, aggregates, window functions, functions that give another answer each time.
    pub fn compile(text: &str, inputs: &[(&str, DataType)], result: &DataType) -> Result<Self, SqlError> {
        on_large_stack(|| Self::compile_here(text, inputs, result))
    }

    fn compile_here(text: &str, inputs: &[(&str, DataType)], result: &DataType) -> Result<Self, SqlError> {
        let sql = parse_expression(text)?;
        let schema = input_schema(inputs)?;
        let expr = plan(&sql, &schema)
            .map_err(|error| blame(&sql, error, |part| plan(part, &schema).map(|_| ())))
            .map_err(|error| as_input(error, inputs))?;
        let given = expr.get_type(&schema).map_err(|error| explain(&error))?;
        if conversion(&given, result).is_none() {
            let shown = model_type(&given).map_or_else(|| given.to_string(), |t| t.to_string());
            return Err(SqlError::new(
                ErrorKind::WrongType,
                format!("the expression is {shown}, which would lose values as {result}: cast it"),
            )
            .at(position(sql.span())));
        }
        let references = references(&expr, &schema);
        let reduced = schema_of(&references, &schema)?;
        let physical = physical(&expr, &reduced).map_err(|error| explain(&error))?;
        let compiled = Self {
            references: references.into(),
            schema: Arc::new(Schema::new(reduced.fields().clone())),
            physical,
            result: result.clone(),
            result_type: arrow_type(result),
        };
        compiled.try_out().map_err(|error| error.at(position(sql.span())))?;
        Ok(compiled)
    }

    /// Evaluates one row of nulls: what cannot be evaluated at all must not become null for every row.
    fn try_out(&self) -> Result<(), SqlError> {
        let fields = self.schema.fields().iter();
        let columns = fields.map(|field| new_null_array(field.data_type(), 1)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let evaluated = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(DataFusionError::from)
            .and_then(|batch| self.physical.evaluate(&batch)?.into_array(1));
        match evaluated.as_ref().map_err(DataFusionError::find_root) {
            Err(error @ (DataFusionError::Internal(_) | DataFusionError::NotImplemented(_))) => Err(SqlError::new(
                ErrorKind::NotSupported,
                format!("the expression cannot be evaluated: {}", explain(error).message),
            )),
            _ => Ok(()),
        }
    }

    /// Which of the inputs it reads: their indices, ascending, each once.
    #[must_use]
    pub fn references(&self) -> &[usize] {
        &self.references
    }

    /// The type of the result.
    #[must_use]
    pub const fn result(&self) -> &DataType {
        &self.result
    }

    /// Evaluates `rows` rows. `columns` are the inputs of [`Self::references`], in that order, in the Arrow types of the model's
    /// ([`arrow_type`]); so is the result.
    ///
    /// # Errors
    /// Only when `columns` are not such columns of so many rows: no value makes it fail.
    pub fn evaluate(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.to_vec(), &options)?;
        self.evaluate_batch(&batch)
    }

    fn evaluate_batch(&self, batch: &RecordBatch) -> Result<ArrayRef, ArrowError> {
        let rows = batch.num_rows();
        let evaluated = self
            .physical
            .evaluate(batch)
            .and_then(|value| value.into_array(rows))
            .map_err(|error| ArrowError::ComputeError(error.to_string()))
            .and_then(|array| convert(&array, &self.result));
        match evaluated {
            Ok(array) => Ok(array),
            Err(_) if rows <= 1 => Ok(new_null_array(&self.result_type, rows)),
            // Halves until the rows without a value stand alone: as many steps as there are such rows, times the depth.
            Err(_) => {
                let middle = rows / 2;
                let first = self.evaluate_batch(&batch.slice(0, middle))?;
                let second = self.evaluate_batch(&batch.slice(middle, rows - middle))?;
                concat(&[first.as_ref(), second.as_ref()])
            }
        }
    }
}

fn input_schema(inputs: &[(&str, DataType)]) -> Result<DFSchema, SqlError> {
    let fields = inputs.iter().map(|(name, data_type)| {
        let (qualifier, column) = match name.rsplit_once('.') {
            None => (None, *name),
            Some((group, feature)) => {
                let qualifier = match group.split_once('.') {
                    Some((domain, group)) => TableReference::partial(domain, group),
                    None => TableReference::bare(group),
                };
                (Some(qualifier), feature)
            }
        };
        (qualifier, Arc::new(Field::new(column, arrow_type(data_type), true)))
    });
    DFSchema::new_with_metadata(fields.collect(), Default::default()).map_err(|error| explain(&error))
}

/// Nearest names as the view writes them.
fn as_input(error: SqlError, inputs: &[(&str, DataType)]) -> SqlError {
    if error.kind != ErrorKind::UnknownColumn {
        return error;
    }
    let name = error.message.split('`').nth(1).unwrap_or_default().to_owned();
    SqlError {
        message: format!("there is no feature, request feature or alias `{name}` in the view"),
        ..error
    }
    .nearest_of(&name, inputs.iter().map(|(name, _)| *name))
}

fn plan(sql: &SqlExpr, schema: &DFSchema) -> Result<Expr, SqlError> {
    let expr = plan_expression(sql, schema)?;
    let coerced = expr
        .rewrite(&mut TypeCoercionRewriter::new(schema))
        .data()
        .map_err(|error| explain(&error))?;
    refuse_rows(&coerced)?;
    let checked = executable(coerced, schema)
        .and_then(|expr| expr.transform_up(|expr| checked_negation(expr, schema)).data())
        .map_err(|error| explain(&error))?;
    checked.get_type(schema).map_err(|error| explain(&error))?;
    Ok(checked)
}

/// What reads more than its row, should the parser have let it pass under another name.
fn refuse_rows(expr: &Expr) -> Result<(), SqlError> {
    let mut found = None;
    let walked = expr.apply(|part| {
        let message = match part {
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::Unnest(_) => {
                "an expression reads one row and gives one value"
            }
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
                "an expression reads one row: it holds no subquery"
            }
            Expr::Placeholder(_) | Expr::ScalarVariable(..) => "an expression reads inputs only",
            _ if part.is_volatile_node() => "the expression gives another answer each time it is asked",
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        found = Some(message);
        Ok(TreeNodeRecursion::Stop)
    });
    debug_assert!(walked.is_ok(), "the closure never fails");
    found.map_or(Ok(()), |message| Err(SqlError::new(ErrorKind::NotSupported, message)))
}

/// Functions that DataFusion only runs in other words (`coalesce`, `nvl2` and the like are CASE), in those.
fn executable(expr: Expr, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(Arc::new(FUNCTIONS.options.clone()))
        .build();
    expr.transform_up(|expr| match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) => Ok(match func.simplify(args, &context)? {
            ExprSimplifyResult::Simplified(expr) => Transformed::yes(expr),
            ExprSimplifyResult::Original(args) => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
        }),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// `-x` of a whole number as `0 - x`, which notices that the smallest has no negative.
fn checked_negation(expr: Expr, schema: &DFSchema) -> datafusion_common::Result<Transformed<Expr>> {
    match expr {
        Expr::Negative(inner) if inner.get_type(schema)?.is_integer() => {
            let zero = ScalarValue::new_zero(&inner.get_type(schema)?)?;
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(
                Box::new(Expr::Literal(zero, None)),
                Operator::Minus,
                inner,
            ))))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn references(expr: &Expr, schema: &DFSchema) -> Vec<usize> {
    let mut references: Vec<usize> = expr
        .column_refs()
        .into_iter()
        .filter_map(|column| schema.maybe_index_of_column(column))
        .collect();
    references.sort_unstable();
    references.dedup();
    references
}

fn schema_of(references: &[usize], schema: &DFSchema) -> Result<DFSchema, SqlError> {
    let fields = references.iter().map(|index| {
        let (qualifier, field) = schema.qualified_field(*index);
        (qualifier.cloned(), Arc::clone(field))
    });
    DFSchema::new_with_metadata(fields.collect(), Default::default()).map_err(|error| explain(&error))
}

fn physical(expr: &Expr, schema: &DFSchema) -> datafusion_common::Result<Arc<dyn PhysicalExpr>> {
    let mut props = ExecutionProps::new();
    props.config_options = Some(Arc::new(FUNCTIONS.options.clone()));
    let physical = create_physical_expr(expr, schema, &props, &PhysicalPlanningContext::default())?;
    physical
        .transform_up(|part| {
            let Some(binary) = part.downcast_ref::<PhysicalBinaryExpr>() else {
                return Ok(Transformed::no(part));
            };
            let checked = PhysicalBinaryExpr::new(Arc::clone(binary.left()), *binary.op(), Arc::clone(binary.right()))
                .with_fail_on_overflow(true);
            Ok(Transformed::yes(Arc::new(checked) as _))
        })
        .data()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::{
        array::{AsArray, Float64Array, Int32Array, Int64Array, StringArray},
        datatypes::{Float64Type, Int64Type},
    };

    use super::*;

    fn types(inputs: &[(&'static str, &str)]) -> Vec<(&'static str, DataType)> {
        inputs.iter().map(|(name, t)| (*name, t.parse().unwrap())).collect()
    }

    fn compile(text: &str, inputs: &[(&'static str, &str)], result: &str) -> Result<Expression, SqlError> {
        Expression::compile(text, &types(inputs), &result.parse().unwrap())
    }

    fn ints(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    #[test]
    fn it_reads_only_what_it_names() {
        let inputs = [("price", "float64"), ("unused", "string"), ("asked_price", "float64")];
        let ratio = compile("asked_price / price", &inputs, "float64").unwrap();
        assert_eq!(ratio.references(), [0, 2]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::from(vec![Some(2.0), Some(0.0), None])),
            Arc::new(Float64Array::from(vec![1.0, 1.0, 1.0])),
        ];
        let answer = ratio.evaluate(&columns, 3).unwrap();
        let answer: Vec<_> = answer.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(answer, [Some(0.5), Some(f64::INFINITY), None]);
    }

    #[test]
    fn full_names_are_names() {
        let inputs = [
            ("product.yield.gross_yield", "float64"),
            ("product.value.sale_price", "float64"),
        ];
        let expression = compile(
            "product.value.sale_price * product.yield.gross_yield",
            &inputs,
            "float64",
        )
        .unwrap();
        assert_eq!(expression.references(), [0, 1]);
    }

    #[test]
    fn functions_that_stand_for_other_expressions_run() {
        for (text, expected) in [
            ("coalesce(a, b)", vec![Some(1), Some(20), None]),
            ("nvl(a, 7)", vec![Some(1), Some(7), Some(7)]),
            ("nullif(a, 1)", vec![None, None, None]),
            ("coalesce(a = 1, true)::int", vec![Some(1), Some(1), Some(1)]),
        ] {
            let expression = compile(text, &[("a", "int64"), ("b", "int64")], "int64").unwrap();
            let columns = [ints(&[Some(1), None, None]), ints(&[Some(10), Some(20), None])];
            let columns: Vec<_> = expression
                .references()
                .iter()
                .map(|i| Arc::clone(&columns[*i]))
                .collect();
            let answer = expression.evaluate(&columns, 3).unwrap();
            let answer: Vec<_> = answer.as_primitive::<Int64Type>().iter().collect();
            assert_eq!(answer, expected, "{text}");
        }
    }

    #[test]
    fn a_constant_has_as_many_rows_as_asked_for() {
        let expression = compile("1 + 1", &[("a", "int64")], "int64").unwrap();
        assert_eq!(
            expression.evaluate(&[], 3).unwrap().as_ref(),
            &Int64Array::from(vec![2, 2, 2])
        );
        assert_eq!(expression.evaluate(&[], 0).unwrap().len(), 0);
    }

    #[test]
    fn a_row_without_a_value_is_null_and_no_other() {
        let inputs = [("a", "int64"), ("b", "int64")];
        let a = ints(&[Some(6), Some(1), Some(i64::MAX), None, Some(8), Some(i64::MIN)]);
        let b = ints(&[Some(3), Some(0), Some(1), Some(0), Some(2), Some(-1)]);
        for (text, expected) in [
            ("a / b", vec![Some(2), None, Some(i64::MAX), None, Some(4), None]),
            ("a % b", vec![Some(0), None, Some(0), None, Some(0), Some(0)]),
            ("a + b", vec![Some(9), Some(1), None, None, Some(10), None]),
            ("a * b", vec![Some(18), Some(0), Some(i64::MAX), None, Some(16), None]),
            ("-(a)", vec![Some(-6), Some(-1), Some(-i64::MAX), None, Some(-8), None]),
        ] {
            let expression = compile(text, &inputs, "int64").unwrap();
            let columns: Vec<ArrayRef> = expression
                .references()
                .iter()
                .map(|i| if *i == 0 { Arc::clone(&a) } else { Arc::clone(&b) })
                .collect();
            let answer = expression.evaluate(&columns, 6).unwrap();
            let answer: Vec<_> = answer.as_primitive::<Int64Type>().iter().collect();
            assert_eq!(answer, expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_number_is_null() {
        let expression = compile("CAST(s AS BIGINT)", &[("s", "string")], "int64").unwrap();
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("1"), Some("x"), None, Some("4")]));
        let answer = expression.evaluate(&[texts], 4).unwrap();
        assert_eq!(answer.as_ref(), &Int64Array::from(vec![Some(1), None, None, Some(4)]));
    }

    #[test]
    fn guards_hold_row_by_row() {
        let inputs = [("a", "int64"), ("b", "int64")];
        let columns = [ints(&[Some(4), Some(4), Some(4)]), ints(&[Some(2), Some(0), None])];
        let guarded = compile("CASE WHEN b <> 0 THEN a / b ELSE -1 END", &inputs, "int64").unwrap();
        assert_eq!(
            guarded.evaluate(&columns, 3).unwrap().as_ref(),
            &Int64Array::from(vec![2, -1, -1])
        );
        let both = compile("CAST(b <> 0 AND a / b > 1 AS INT)", &inputs, "int32").unwrap();
        assert_eq!(
            both.evaluate(&columns, 3).unwrap().as_ref(),
            &Int32Array::from(vec![Some(1), Some(0), None])
        );
    }

    #[test]
    fn results_are_converted_only_without_loss() {
        let inputs = [("i", "int32"), ("l", "int64"), ("s", "string")];
        assert!(compile("i", &inputs, "int64").is_ok());
        assert!(compile("upper(s)", &inputs, "string").is_ok());
        let error = compile("l + 1", &inputs, "float64").unwrap_err();
        assert_eq!(error.kind, ErrorKind::WrongType);
        assert!(error.position.is_some(), "{error}");
        assert_eq!(
            compile("i", &inputs, "int64")
                .unwrap()
                .evaluate(&[Arc::new(Int32Array::from(vec![1]))], 1)
                .unwrap()
                .data_type(),
            &ArrowType::Int64
        );
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let inputs = [("price", "float64"), ("city", "string"), ("on", "date")];
        let error = compile("1 + prise", &inputs, "float64").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1, column 5: there is no feature, request feature or alias `prise` in the view; nearest: `price`"
        );
        let error = compile("price + (on * price)", &inputs, "float64").unwrap_err();
        assert_eq!(
            (error.kind, error.position.map(|p| p.column)),
            (ErrorKind::WrongType, Some(10)),
            "{error}"
        );
        let error = compile("price + lenth(city)", &inputs, "float64").unwrap_err();
        assert_eq!(
            (error.kind, error.position.map(|p| p.column)),
            (ErrorKind::UnknownFunction, Some(9)),
            "{error}"
        );
        let error = compile("unnest([price])", &inputs, "float64").unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotSupported, "{error}");
    }

    #[test]
    fn lists_and_vectors_are_inputs() {
        let inputs = [("taste", "vector<float32, 3>"), ("tags", "list<string>")];
        assert!(compile("taste[1]", &inputs, "float32").is_ok());
        assert!(compile("array_length(tags)", &inputs, "decimal(20,0)").is_ok());
    }
}
