//! The batch query of a group: parsed once, planned against the tables it reads.

use std::ops::ControlFlow;

use datafusion_expr::LogicalPlan;
use datafusion_sql::{
    parser::Statement as DFStatement,
    resolve::resolve_table_references,
    sqlparser::ast::{ObjectNamePart, Spanned, visit_relations},
};
use forebay_model::Duration;

use crate::{
    ErrorKind, Lineage, Output, Position, SqlError, TableName, Tables, Wanted,
    blame::blame,
    lineage, look_back, output,
    planner::{explain, plan_query},
    stack::on_large_stack,
    syntax::{ParsedQuery, parse_query, position},
};

/// The parameter that stands for `{{ start }}`: a timestamp in microseconds UTC, inclusive.
pub const START: &str = "start";
/// The parameter that stands for `{{ end }}`: a timestamp in microseconds UTC, exclusive.
pub const END: &str = "end";

/// One SELECT statement that only reads.
#[derive(Debug, Clone)]
pub struct BatchSql {
    query: ParsedQuery,
    tables: Vec<TableName>,
}

impl BatchSql {
    /// # Errors
    /// What cannot be parsed, writes, is more than one statement, or calls a function that is unknown or gives another answer
    /// each time.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        on_large_stack(|| {
            let query = parse_query(text)?;
            let statement = DFStatement::Statement(Box::new(query.statement.clone()));
            let (references, _) = resolve_table_references(&statement, true).map_err(|error| explain(&error))?;
            let tables = references.iter().map(TableName::from_reference).collect();
            Ok(Self { query, tables })
        })
    }

    /// What the query reads, each once, in order of their names; its own WITH tables are not among them.
    #[must_use]
    pub fn tables(&self) -> &[TableName] {
        &self.tables
    }

    /// Whether it reads the bounds of the run's interval. One that does not gives the same rows for every interval.
    #[must_use]
    pub const fn uses_interval(&self) -> bool {
        self.query.uses_interval
    }

    /// The query for the engine: `{{ start }}` and `{{ end }}` are the parameters [`START`] and [`END`].
    #[must_use]
    pub fn engine_sql(&self) -> &str {
        &self.query.engine_sql
    }

    /// Plans the query against `tables`.
    ///
    /// # Errors
    /// Unknown tables, columns and functions, and types that do not fit, with their place and the nearest names.
    pub fn plan(&self, tables: &Tables) -> Result<BatchPlan<'_>, SqlError> {
        for table in &self.tables {
            if tables.schema(table).is_none() {
                return Err(self.unknown_table(table, tables));
            }
        }
        on_large_stack(|| {
            let logical = plan_query(&self.query.statement, tables).map_err(|error| {
                let error = output::place_duplicate(error, &self.query.statement);
                blame(&self.query.statement, error, |statement| {
                    plan_query(statement, tables).map(|_| ())
                })
            })?;
            let lineage = lineage::trace(&logical);
            let look_back = self.uses_interval().then(|| look_back::derive(&logical));
            Ok(BatchPlan {
                sql: self,
                logical,
                lineage,
                look_back,
            })
        })
    }

    fn unknown_table(&self, table: &TableName, tables: &Tables) -> SqlError {
        let wanted = table.to_string();
        let mut place: Option<Position> = None;
        let _ = visit_relations(&self.query.statement, |relation| {
            let parts: Vec<String> = relation
                .0
                .iter()
                .filter_map(ObjectNamePart::as_ident)
                .map(normal)
                .collect();
            if parts.join(".") == wanted {
                place = position(relation.span());
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        let known: Vec<String> = tables.names().map(ToString::to_string).collect();
        SqlError::new(
            ErrorKind::UnknownTable,
            format!("there is no source, input or group `{wanted}`"),
        )
        .at(place)
        .nearest_of(&wanted, known.iter().map(String::as_str))
    }
}

fn normal(ident: &datafusion_sql::sqlparser::ast::Ident) -> String {
    match ident.quote_style {
        None => ident.value.to_lowercase(),
        Some(_) => ident.value.clone(),
    }
}

/// A query that was planned and type-checked, not optimised.
#[derive(Debug, Clone)]
pub struct BatchPlan<'a> {
    sql: &'a BatchSql,
    logical: LogicalPlan,
    lineage: Lineage,
    look_back: Option<Duration>,
}

impl BatchPlan<'_> {
    #[must_use]
    pub const fn logical(&self) -> &LogicalPlan {
        &self.logical
    }

    /// Whether the query gives the columns of its group: every key and feature, and optionally `event_time`.
    ///
    /// # Errors
    /// Every column that is missing, too much, there twice, or of a type that loses values, each at its place in the SELECT list.
    pub fn check(&self, keys: &[Wanted], features: &[Wanted]) -> Result<Output, Vec<SqlError>> {
        output::check(&self.logical, &self.sql.query.statement, keys, features)
    }

    /// What each column of the answer is made from.
    #[must_use]
    pub const fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// How far behind the start of its interval the query reads: the longest interval that it subtracts from a bound. None for a
    /// query without bounds, which reads everything each time.
    #[must_use]
    pub const fn look_back(&self) -> Option<Duration> {
        self.look_back
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::datatypes::{DataType as ArrowType, Field, Schema, TimeUnit};
    use forebay_model::DataType;

    use super::*;
    use crate::{Conversion, group_schema};

    fn tables() -> Tables {
        let listings = Schema::new(vec![
            Field::new("product_id", ArrowType::Int64, true),
            Field::new("updated_at", ArrowType::Timestamp(TimeUnit::Nanosecond, None), true),
            Field::new("rent_price", ArrowType::Float64, true),
            Field::new("sale_price", ArrowType::Float64, true),
            Field::new("rooms", ArrowType::Int32, true),
            Field::new("city", ArrowType::Utf8View, true),
        ]);
        let value = group_schema(
            [("product_id", DataType::Int64)],
            [("rent_price", DataType::Float64), ("sale_price", DataType::Float64)],
        );
        Tables::new()
            .with(TableName::Bare("listings".into()), Arc::new(listings))
            .with(
                TableName::Group {
                    domain: "product".into(),
                    group: "value".into(),
                },
                value,
            )
    }

    fn wanted(columns: &[(&str, &str)]) -> Vec<Wanted> {
        columns
            .iter()
            .map(|(name, t)| Wanted {
                name: (*name).to_owned(),
                data_type: t.parse().unwrap(),
            })
            .collect()
    }

    fn check(text: &str, features: &[(&str, &str)]) -> Result<Output, Vec<String>> {
        let sql = BatchSql::parse(text).map_err(|error| vec![error.to_string()])?;
        let plan = sql.plan(&tables()).map_err(|error| vec![error.to_string()])?;
        plan.check(&wanted(&[("product_id", "int64")]), &wanted(features))
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn refused(text: &str, features: &[(&str, &str)], expected: &[&str]) {
        assert_eq!(check(text, features).expect_err(text), expected, "{text}");
    }

    #[test]
    fn the_groups_of_the_contract_are_taken() {
        let output = check(
            "SELECT product_id, updated_at AS event_time, rent_price, sale_price FROM listings",
            &[("rent_price", "float64"), ("sale_price", "float64")],
        )
        .unwrap();
        let event_time = output.event_time.unwrap();
        assert_eq!((event_time.index, event_time.conversion), (1, Conversion::Checked));
        let output = check(
            "SELECT product_id, event_time, rent_price * 12 / sale_price AS gross_yield FROM product.value",
            &[("gross_yield", "float64")],
        )
        .unwrap();
        assert_eq!(output.features[0].conversion, Conversion::None);
        let output = check(
            "SELECT product_id, city, rooms FROM listings",
            &[("rooms", "int64"), ("city", "string")],
        )
        .unwrap();
        assert_eq!(output.event_time, None);
        assert!(output.features.iter().all(|f| f.conversion == Conversion::Lossless));
    }

    #[test]
    fn tables_that_are_read() {
        let sql = BatchSql::parse(
            "WITH w AS (SELECT * FROM listings) SELECT * FROM w JOIN product.value v USING (product_id)",
        )
        .unwrap();
        let names: Vec<_> = sql.tables().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["listings", "product.value"]);
        assert_eq!(sql.tables()[1].group().unwrap().to_string(), "product.value");
    }

    #[test]
    fn unknown_names_have_their_place_and_the_nearest() {
        let rent = [("rent_price", "float64")];
        refused(
            "SELECT product_id,\n  rent_prise AS rent_price FROM listings",
            &rent,
            &["line 2, column 3: there is no column `rent_prise`; nearest: `rent_price`, `sale_price`"],
        );
        refused(
            "SELECT l.product_id, l.rent_prce AS rent_price FROM listings l",
            &rent,
            &["line 1, column 22: there is no column `l.rent_prce`; nearest: `l.rent_price`, `l.sale_price`"],
        );
        refused(
            "SELECT product_id, rent_price\nFROM listing",
            &rent,
            &["line 2, column 6: there is no source, input or group `listing`; nearest: `listings`"],
        );
        refused(
            "SELECT product_id, rent_price FROM product.valu",
            &rent,
            &["line 1, column 36: there is no source, input or group `product.valu`; nearest: `product.value`"],
        );
        refused(
            "SELECT product_id, l.rent_price FROM listings l, product.value v",
            &rent,
            &[
                "line 1, column 8: `product_id` may be one of several columns: write its table before it, or give one another name",
            ],
        );
    }

    #[test]
    fn columns_that_do_not_fit_the_group_are_refused_each_at_its_place() {
        refused(
            "SELECT product_id, city AS rent_price, rooms FROM listings",
            &[("rent_price", "float64"), ("sale_price", "float64")],
            &[
                "line 1, column 1: the query gives no column `sale_price`, which is a feature of the group; nearest: `rent_price`",
                "line 1, column 20: `rent_price` is float64, but the query gives string, which would lose values: cast it in the query",
                "line 1, column 40: the query gives a column `rooms`, which is neither a key nor a feature of the group",
            ],
        );
        refused(
            "SELECT rooms AS product_id, v.product_id AS rooms, l.rent_price, v.rent_price FROM listings l, product.value v",
            &[("rent_price", "float64"), ("rooms", "int32")],
            &[
                "line 1, column 29: `rooms` is int32, but the query gives int64, which would lose values: cast it in the query",
                "line 1, column 66: the query gives two columns `rent_price`",
            ],
        );
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let error = check(
            "SELECT product_id, rent_price AS x,\n sale_price AS x FROM listings",
            &[("x", "float64")],
        );
        assert_eq!(
            error.expect_err("twice"),
            ["line 2, column 2: the query gives two columns `x`: give one another name"]
        );
    }

    #[test]
    fn an_expression_of_the_wrong_type_is_found() {
        let sql = BatchSql::parse(
            "SELECT product_id,\n rent_price + sqrt(sale_price * updated_at) AS rent_price FROM listings",
        )
        .unwrap();
        let error = sql.plan(&tables()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::WrongType, "{error}");
        assert_eq!(error.position, Some(Position { line: 2, column: 20 }), "{error}");
        let sql = BatchSql::parse("SELECT product_id, upper(city, 1) AS rent_price FROM listings").unwrap();
        let error = sql.plan(&tables()).unwrap_err();
        assert_eq!(error.position, Some(Position { line: 1, column: 20 }), "{error}");
        let sql = BatchSql::parse("SELECT product_id, rent_price FROM listings WHERE city").unwrap();
        assert!(sql.plan(&tables()).unwrap_err().position.is_some());
    }

    #[test]
    fn bounds_are_timestamps() {
        let output = check(
            "SELECT product_id, {{ end }} AS event_time, max(rent_price) AS rent_price FROM listings \
             WHERE updated_at >= {{ start }} - INTERVAL '1 day' AND updated_at < {{ end }} GROUP BY product_id",
            &[("rent_price", "float64")],
        )
        .unwrap();
        assert_eq!(output.event_time.unwrap().conversion, Conversion::None);
    }

    #[test]
    fn a_long_chain_of_operators_is_planned() {
        let chain = vec!["rent_price"; 100].join(" + ");
        let output = check(
            &format!("SELECT product_id, {chain} AS rent_price FROM listings"),
            &[("rent_price", "float64")],
        );
        assert!(output.is_ok(), "{output:?}");
    }
}
