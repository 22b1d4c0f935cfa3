#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::*;
use crate::{BatchSql, Tables};

fn schema(columns: &[&str]) -> SchemaRef {
    let fields = columns.iter().map(|name| {
        let data_type = match *name {
            "at" | "event_time" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            "tags" => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
            "name" => DataType::Utf8,
            _ => DataType::Int64,
        };
        Field::new(*name, data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn lineage(sql: &str) -> Lineage {
    let tables = Tables::new()
        .with(
            TableName::Bare("t".into()),
            schema(&["id", "a", "b", "c", "at", "name", "tags"]),
        )
        .with(TableName::Bare("u".into()), schema(&["id", "x", "y", "at"]))
        .with(
            TableName::Group {
                domain: "product".into(),
                group: "value".into(),
            },
            schema(&["id", "event_time", "price"]),
        );
    BatchSql::parse(sql).unwrap().plan(&tables).unwrap().lineage().clone()
}

/// `value t.a | influence t.b t.c` of a column.
fn of(lineage: &Lineage, column: &str) -> String {
    let column = lineage
        .column(column)
        .unwrap_or_else(|| panic!("no {column} in {lineage:?}"));
    let names = |edge| {
        let names: Vec<_> = column
            .inputs
            .iter()
            .filter(|(_, kind)| *kind == edge)
            .map(|(column, _)| column.to_string())
            .collect();
        names.join(" ")
    };
    format!("{} | {}", names(Edge::Value), names(Edge::Influence))
}

#[track_caller]
fn check(sql: &str, expected: &[(&str, &str)]) {
    let lineage = lineage(sql);
    assert_eq!(lineage.columns.len(), expected.len(), "{lineage:?}");
    for (column, made) in expected {
        assert_eq!(of(&lineage, column), *made, "{column} of {sql}");
    }
}

#[test]
fn columns_aliases_and_expressions() {
    check(
        "SELECT id, a + b AS s, 1 AS one, CAST(c AS DOUBLE) d FROM t",
        &[("id", "t.id | "), ("s", "t.a t.b | "), ("one", " | "), ("d", "t.c | ")],
    );
}

#[test]
fn a_star_is_its_columns() {
    check(
        "SELECT * FROM u",
        &[("id", "u.id | "), ("x", "u.x | "), ("y", "u.y | "), ("at", "u.at | ")],
    );
    check(
        "SELECT v.* FROM product.value AS v",
        &[
            ("id", "product.value.id | "),
            ("event_time", "product.value.event_time | "),
            ("price", "product.value.price | "),
        ],
    );
    check("SELECT * EXCLUDE (y, at) FROM u", &[("id", "u.id | "), ("x", "u.x | ")]);
}

#[test]
fn filters_and_limits_influence() {
    check(
        "SELECT a FROM t WHERE b > 0 AND {{ start }} <= at",
        &[("a", "t.a | t.at t.b")],
    );
    check("SELECT a FROM t ORDER BY b DESC LIMIT 3", &[("a", "t.a | t.b")]);
    check(
        "SELECT DISTINCT a, b FROM t",
        &[("a", "t.a | t.a t.b"), ("b", "t.b | t.a t.b")],
    );
    check(
        "SELECT DISTINCT ON (id) id, a FROM t ORDER BY id, at DESC",
        &[("id", "t.id | t.at t.id"), ("a", "t.a | t.at t.id")],
    );
}

#[test]
fn groups_and_aggregates() {
    check(
        "SELECT id, sum(a) AS s, count(*) AS n FROM t GROUP BY id HAVING max(b) > 1",
        &[("id", "t.id | t.b t.id"), ("s", "t.a | t.b t.id"), ("n", " | t.b t.id")],
    );
    check(
        "SELECT sum(a) FILTER (WHERE b > 0) AS s, first_value(c ORDER BY at) AS f FROM t",
        &[("s", "t.a | t.b"), ("f", "t.c | t.at")],
    );
    check(
        "SELECT id, a, sum(b) AS s FROM t GROUP BY ROLLUP (id, a)",
        &[
            ("id", "t.id | t.a t.id"),
            ("a", "t.a | t.a t.id"),
            ("s", "t.b | t.a t.id"),
        ],
    );
}

#[test]
fn windows_influence_only_their_own_column() {
    check(
        "SELECT id, lag(a) OVER (PARTITION BY b ORDER BY at) AS before FROM t",
        &[("id", "t.id | "), ("before", "t.a | t.at t.b")],
    );
    check(
        "SELECT id, a FROM (SELECT id, a, row_number() OVER (PARTITION BY id ORDER BY at DESC) AS n FROM t) WHERE n = 1",
        &[("id", "t.id | t.at t.id"), ("a", "t.a | t.at t.id")],
    );
    check(
        "SELECT id, a FROM t QUALIFY row_number() OVER (PARTITION BY id ORDER BY at DESC) = 1",
        &[("id", "t.id | t.at t.id"), ("a", "t.a | t.at t.id")],
    );
}

#[test]
fn conditions_of_a_case_influence() {
    check(
        "SELECT CASE WHEN a > 0 THEN b ELSE c END AS v FROM t",
        &[("v", "t.b t.c | t.a")],
    );
    check("SELECT CASE a WHEN 1 THEN b END AS v FROM t", &[("v", "t.b | t.a")]);
    check("SELECT coalesce(a, b) AS v FROM t", &[("v", "t.a t.b | ")]);
}

#[test]
fn ctes_and_derived_tables() {
    check(
        "WITH w AS (SELECT id, a + b AS s FROM t WHERE c > 0), z (k, v) AS (SELECT id, s * 2 FROM w) SELECT k AS id, v FROM z",
        &[("id", "t.id | t.c"), ("v", "t.a t.b | t.c")],
    );
    check("SELECT d.s FROM (SELECT a AS s FROM t) d", &[("s", "t.a | ")]);
    // A WITH table of a source's name hides the source.
    check(
        "WITH t AS (SELECT a AS id FROM t) SELECT id FROM t",
        &[("id", "t.a | ")],
    );
}

#[test]
fn joins_influence_by_their_conditions() {
    check(
        "SELECT t.id, x FROM t JOIN u ON t.id = u.id AND t.at >= u.at",
        &[("id", "t.id | t.at t.id u.at u.id"), ("x", "u.x | t.at t.id u.at u.id")],
    );
    check(
        "SELECT id, a, x FROM t LEFT JOIN u USING (id)",
        &[
            ("id", "t.id | t.id u.id"),
            ("a", "t.a | t.id u.id"),
            ("x", "u.x | t.id u.id"),
        ],
    );
    check("SELECT x FROM t NATURAL JOIN u", &[("x", "u.x | t.at t.id u.at u.id")]);
    check(
        "SELECT l.a, r.b FROM t l, t r WHERE l.id = r.id",
        &[("a", "t.a | t.id"), ("b", "t.b | t.id")],
    );
    check("SELECT a, x FROM t CROSS JOIN u", &[("a", "t.a | "), ("x", "u.x | ")]);
    check(
        "SELECT t.a, l.x FROM t, LATERAL (SELECT u.x FROM u WHERE u.id = t.id) AS l",
        &[("a", "t.a | t.id u.id"), ("x", "u.x | t.id u.id")],
    );
}

#[test]
fn subqueries() {
    check(
        "SELECT a, (SELECT max(x) FROM u WHERE y > 0) AS m FROM t",
        &[("a", "t.a | "), ("m", "u.x | u.y")],
    );
    check(
        "SELECT a, (SELECT max(x) FROM u WHERE u.id = t.id) AS m FROM t",
        &[("a", "t.a | "), ("m", "u.x | t.id u.id")],
    );
    check(
        "SELECT a FROM t WHERE id IN (SELECT id FROM u WHERE x = 1)",
        &[("a", "t.a | t.id u.id u.x")],
    );
    check(
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id)",
        &[("a", "t.a | t.id u.id")],
    );
    check(
        "SELECT a FROM t WHERE id NOT IN (SELECT id FROM u)",
        &[("a", "t.a | t.id u.id")],
    );
    check(
        "SELECT a FROM t WHERE b > (SELECT avg(x) FROM u WHERE EXISTS (SELECT 1 FROM product.value v WHERE v.id = t.id))",
        &[("a", "t.a | t.b t.id u.x product.value.id")],
    );
}

#[test]
fn set_operations() {
    check(
        "SELECT id, a FROM t UNION ALL SELECT x, y FROM u",
        &[("id", "t.id u.x | "), ("a", "t.a u.y | ")],
    );
    check(
        "SELECT id FROM t WHERE a > 0 UNION SELECT id FROM u",
        &[("id", "t.id u.id | t.a t.id u.id")],
    );
    check("SELECT id FROM t EXCEPT SELECT x FROM u", &[("id", "t.id | t.id u.x")]);
    check(
        "SELECT id FROM t INTERSECT SELECT x FROM u",
        &[("id", "t.id | t.id u.x")],
    );
}

#[test]
fn values_and_unnest() {
    check(
        "SELECT k, a FROM (VALUES (1), (2)) AS v (k) JOIN t ON v.k = t.id",
        &[("k", " | t.id"), ("a", "t.a | t.id")],
    );
    check(
        "SELECT id, unnest(tags) AS tag FROM t",
        &[("id", "t.id | t.tags"), ("tag", "t.tags | t.tags")],
    );
}

#[test]
fn a_table_of_which_only_the_rows_count_is_read() {
    let lineage = lineage("SELECT count(*) AS n FROM product.value WHERE EXISTS (SELECT 1 FROM u)");
    let tables: Vec<_> = lineage.tables.iter().map(ToString::to_string).collect();
    assert_eq!(tables, ["u", "product.value"]);
    assert_eq!(of(&lineage, "n"), " | ");
}

#[test]
fn look_back_is_the_longest_reach_behind_the_interval() {
    let tables = Tables::new().with(TableName::Bare("t".into()), schema(&["id", "a", "at"]));
    let days = |sql: &str| {
        let sql = BatchSql::parse(sql).unwrap();
        let plan = sql.plan(&tables).unwrap();
        plan.look_back().map(|d| d.micros() / 86_400_000_000)
    };
    assert_eq!(days("SELECT a FROM t"), None);
    assert_eq!(
        days("SELECT a FROM t WHERE at >= {{ start }} AND at < {{ end }}"),
        Some(0)
    );
    assert_eq!(
        days("SELECT a FROM t WHERE at >= {{ start }} - INTERVAL '7 days' AND at < {{ end }}"),
        Some(7)
    );
    assert_eq!(
        days("SELECT a FROM t WHERE at >= {{ start }} - INTERVAL '1 month'"),
        Some(31)
    );
    assert_eq!(
        days("SELECT a FROM t WHERE at + INTERVAL '3 days' >= {{ start }}"),
        Some(3)
    );
    assert_eq!(
        days("SELECT a FROM t WHERE at >= date_trunc('day', {{ start }}) - INTERVAL '1 day'"),
        Some(2)
    );
    assert_eq!(
        days("SELECT a FROM t WHERE id IN (SELECT id FROM t WHERE at > {{ start }} - INTERVAL '2 days')"),
        Some(2)
    );
}
