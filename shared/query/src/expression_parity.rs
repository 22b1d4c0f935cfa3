//! View expressions against the engine: whatever `forebay_sql::Expression` computes, a query over the same rows computes too.
//!
//! Random expressions of every kind are evaluated on random rows: all at once by the expression, one by one by the engine where it fails for all. Where it fails
//! for a row, the expression is null there and nowhere else. Whole numbers stay small here, since the engine lets them wrap and an expression does not; the limits of
//! int64 have a property of their own.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
        RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    compute::{cast, concat},
    datatypes::{Field, Float64Type, Schema},
};
use datafusion::{
    error::DataFusionError,
    prelude::{SessionConfig, SessionContext},
};
use forebay_model::DataType;
use forebay_sql::{ErrorKind, Expression, arrow_type};
use proptest::{collection::vec, option, prelude::*, sample::select};

const COLUMNS: [(&str, &str); 10] = [
    ("a", "int64"),
    ("b", "int64"),
    ("c", "int32"),
    ("x", "float64"),
    ("y", "float64"),
    ("s", "string"),
    ("t", "string"),
    ("flag", "bool"),
    ("day", "date"),
    ("time", "timestamp"),
];

const DECIMAL: (&str, &str) = ("price", "decimal(12,2)");

fn inputs() -> Vec<(&'static str, DataType)> {
    let columns = COLUMNS.into_iter().chain([DECIMAL]);
    columns.map(|(name, of)| (name, of.parse().expect("a type"))).collect()
}

/// One row: every input's value.
#[derive(Clone, Debug)]
struct Row {
    whole: [Option<i64>; 2],
    short: Option<i32>,
    float: [Option<f64>; 2],
    text: [Option<String>; 2],
    flag: Option<bool>,
    day: Option<i32>,
    time: Option<i64>,
    price: Option<i64>,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    vec(row(), 1..6)
}

fn row() -> impl Strategy<Value = Row> {
    let whole = || option::of(prop_oneof![Just(0), -3..4_i64, -1_000..1_000_i64]);
    let float = || {
        option::of(prop_oneof![
            select(vec![
                0.0,
                -0.0,
                1.0,
                -1.5,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                1e300,
                0.1
            ]),
            -100.0..100.0_f64,
        ])
    };
    let text = || {
        option::of(prop_oneof![
            select(vec![
                "",
                "a",
                "Ab",
                "ab%",
                "a_b",
                "é",
                "12",
                "-7",
                "1.5",
                "x",
                " ab ",
                "2024-02-29",
                "true"
            ])
            .prop_map(str::to_owned),
            "[ab%_]{0,4}",
        ])
    };
    let numbers = ([whole(), whole()], option::of(-50..50_i32), [float(), float()]);
    let others = (
        [text(), text()],
        option::of(any::<bool>()),
        option::of(prop_oneof![Just(19_782), -800..25_000_i32]),
        // Between the years 1677 and 2262: literals are in nanoseconds, and so what they are compared with.
        option::of(-9_200_000_000_000_000..9_200_000_000_000_000_i64),
        option::of(-100_000..100_000_i64),
    );
    (numbers, others).prop_map(|((whole, short, float), (text, flag, day, time, price))| Row {
        whole,
        short,
        float,
        text,
        flag,
        day,
        time,
        price,
    })
}

fn batch(rows: &[Row]) -> RecordBatch {
    fn column<'a, T>(rows: &'a [Row], of: impl Fn(&'a Row) -> T + 'a) -> impl Iterator<Item = T> + 'a {
        rows.iter().map(of)
    }
    let price: Decimal128Array = column(rows, |row| row.price.map(i128::from)).collect();
    let time: TimestampMicrosecondArray = column(rows, |row| row.time).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(column(rows, |row| row.whole[0]).collect::<Int64Array>()),
        Arc::new(column(rows, |row| row.whole[1]).collect::<Int64Array>()),
        Arc::new(column(rows, |row| row.short).collect::<Int32Array>()),
        Arc::new(column(rows, |row| row.float[0]).collect::<Float64Array>()),
        Arc::new(column(rows, |row| row.float[1]).collect::<Float64Array>()),
        Arc::new(column(rows, |row| row.text[0].as_deref()).collect::<StringArray>()),
        Arc::new(column(rows, |row| row.text[1].as_deref()).collect::<StringArray>()),
        Arc::new(column(rows, |row| row.flag).collect::<BooleanArray>()),
        Arc::new(column(rows, |row| row.day).collect::<Date32Array>()),
        Arc::new(time.with_timezone("UTC")),
        Arc::new(price.with_precision_and_scale(12, 2).expect("12 digits")),
    ];
    let fields = inputs()
        .into_iter()
        .map(|(name, of)| Field::new(name, arrow_type(&of), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).expect("a batch")
}

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Whole,
    Float,
    Text,
    Flag,
    Day,
    Time,
}

impl Kind {
    fn result(self) -> DataType {
        let name = match self {
            Self::Whole => "int64",
            Self::Float => "float64",
            Self::Text => "string",
            Self::Flag => "bool",
            Self::Day => "date",
            Self::Time => "timestamp",
        };
        name.parse().expect("a type")
    }
}

const KINDS: [Kind; 6] = [Kind::Whole, Kind::Float, Kind::Text, Kind::Flag, Kind::Day, Kind::Time];

fn pair(kind: Kind, depth: u32) -> impl Strategy<Value = (String, String)> {
    (expression(kind, depth - 1), expression(kind, depth - 1))
}

/// The text of an expression of a kind, nested at most so deep.
fn expression(kind: Kind, depth: u32) -> BoxedStrategy<String> {
    let leaf = match kind {
        Kind::Whole => select(vec!["a", "b", "c", "0", "1", "-2", "7", "NULL"]),
        Kind::Float => select(vec!["x", "y", "0.5", "1e3", "-2.25", "0.0", "CAST('NaN' AS DOUBLE)"]),
        Kind::Text => select(vec!["s", "t", "'a'", "'%b'", "''", "'12'"]),
        Kind::Flag => select(vec!["flag", "true", "false", "NULL"]),
        Kind::Day => select(vec!["day", "DATE '2024-02-29'", "CAST('2023-01-31' AS DATE)"]),
        Kind::Time => select(vec!["time", "TIMESTAMP '2024-02-29T12:30:00.000006Z'"]),
    };
    let leaf = leaf.prop_map(str::to_owned).boxed();
    if depth == 0 {
        return leaf;
    }
    let below = |kind| expression(kind, depth - 1);
    let conditional = prop_oneof![
        (below(Kind::Flag), pair(kind, depth)).prop_map(|(c, (l, r))| format!("CASE WHEN {c} THEN {l} ELSE {r} END")),
        (below(Kind::Flag), below(kind)).prop_map(|(c, l)| format!("CASE WHEN {c} THEN {l} END")),
        (pair(Kind::Whole, depth), pair(kind, depth))
            .prop_map(|((v, w), (l, r))| format!("CASE {v} WHEN {w} THEN {l} WHEN 1 THEN {r} END")),
        pair(kind, depth).prop_map(|(l, r)| format!("COALESCE({l}, {r})")),
        pair(kind, depth).prop_map(|(l, r)| format!("NULLIF({l}, {r})")),
    ];
    let own = match kind {
        Kind::Whole => prop_oneof![
            (pair(kind, depth), select(vec!["+", "-", "*", "/", "%"]))
                .prop_map(|((l, r), op)| format!("({l} {op} {r})")),
            below(kind).prop_map(|e| format!("(-({e}))")),
            below(kind).prop_map(|e| format!("abs({e})")),
            below(Kind::Text).prop_map(|e| format!("CAST({e} AS BIGINT)")),
            below(Kind::Text).prop_map(|e| format!("length({e})")),
            below(Kind::Flag).prop_map(|e| format!("CAST({e} AS INT)")),
            below(Kind::Float).prop_map(|e| format!("CAST({e} AS INT)")),
            below(Kind::Day).prop_map(|e| format!("EXTRACT(YEAR FROM {e})")),
        ]
        .boxed(),
        Kind::Float => prop_oneof![
            (pair(kind, depth), select(vec!["+", "-", "*", "/", "%"]))
                .prop_map(|((l, r), op)| format!("({l} {op} {r})")),
            (below(kind), below(Kind::Whole)).prop_map(|(l, r)| format!("({l} / {r})")),
            below(kind).prop_map(|e| format!("(-({e}))")),
            (below(kind), select(vec!["sqrt", "floor", "round", "abs", "exp", "ln"]))
                .prop_map(|(e, f)| format!("{f}({e})")),
            below(Kind::Whole).prop_map(|e| format!("CAST({e} AS DOUBLE)")),
            below(Kind::Text).prop_map(|e| format!("CAST({e} AS DOUBLE)")),
            below(kind).prop_map(|e| format!("CAST(price * 2 AS DOUBLE) + {e}")),
        ]
        .boxed(),
        Kind::Text => prop_oneof![
            pair(kind, depth).prop_map(|(l, r)| format!("({l} || {r})")),
            (below(kind), select(vec!["upper", "lower", "trim", "reverse"])).prop_map(|(e, f)| format!("{f}({e})")),
            (below(kind), below(Kind::Whole)).prop_map(|(e, n)| format!("substr({e}, {n})")),
            select(vec![Kind::Whole, Kind::Flag, Kind::Day])
                .prop_flat_map(move |of| expression(of, depth - 1))
                .prop_map(|e| format!("CAST({e} AS VARCHAR)")),
            Just("CAST(price + 1 AS VARCHAR)".to_owned()),
            Just("CAST(price AS VARCHAR)".to_owned()),
        ]
        .boxed(),
        Kind::Flag => prop_oneof![
            (select(KINDS.to_vec()), select(vec!["=", "<>", "<", "<=", ">", ">="]))
                .prop_flat_map(move |(of, op)| pair(of, depth).prop_map(move |(l, r)| format!("({l} {op} {r})"))),
            (pair(kind, depth), select(vec!["AND", "OR"])).prop_map(|((l, r), op)| format!("({l} {op} {r})")),
            below(kind).prop_map(|e| format!("(NOT ({e}))")),
            select(KINDS.to_vec())
                .prop_flat_map(move |of| expression(of, depth - 1).prop_map(|e| format!("(({e}) IS NULL)"))),
            (below(Kind::Whole), any::<bool>())
                .prop_map(|(e, not)| format!("({e} {}IN (1, 2, b, NULL))", if not { "NOT " } else { "" })),
            below(Kind::Text).prop_map(|e| format!("({e} IN ('a', 'Ab', t))")),
            (below(Kind::Whole), pair(Kind::Whole, depth)).prop_map(|(e, (l, r))| format!("({e} BETWEEN {l} AND {r})")),
            (below(Kind::Float), pair(Kind::Float, depth))
                .prop_map(|(e, (l, r))| format!("({e} NOT BETWEEN {l} AND {r})")),
            (
                below(Kind::Text),
                select(vec!["'a%'", "'%b'", "'_'", "'a\\%'", "t", "'%'"])
            )
                .prop_map(|(e, like)| format!("({e} LIKE {like})")),
            below(Kind::Text).prop_map(|e| format!("({e} NOT ILIKE 'A%')")),
            (below(kind), below(kind)).prop_map(|(l, r)| format!("({l} IS DISTINCT FROM {r})")),
            below(Kind::Whole).prop_map(|e| format!("(price > {e})")),
        ]
        .boxed(),
        Kind::Day => prop_oneof![
            below(kind).prop_map(|e| format!("({e} + INTERVAL '1' MONTH)")),
            below(kind).prop_map(|e| format!("({e} - INTERVAL '3' DAY)")),
            below(Kind::Time).prop_map(|e| format!("CAST({e} AS DATE)")),
            below(Kind::Text).prop_map(|e| format!("CAST({e} AS DATE)")),
        ]
        .boxed(),
        Kind::Time => prop_oneof![
            below(kind).prop_map(|e| format!("({e} + INTERVAL '1' DAY)")),
            (below(kind), select(vec!["month", "day", "hour"]))
                .prop_map(|(e, unit)| format!("date_trunc('{unit}', {e})")),
        ]
        .boxed(),
    };
    prop_oneof![1 => leaf, 3 => own, 2 => conditional].boxed()
}

/// The engine's answer for these rows as Arrow columns of the result's type; the outer error is one of planning.
async fn engine(
    sql: &str,
    rows: RecordBatch,
    result: &DataType,
) -> Result<Result<ArrayRef, DataFusionError>, DataFusionError> {
    let context =
        SessionContext::new_with_config(SessionConfig::from(forebay_sql::options()).with_target_partitions(1));
    context.register_batch("input", rows)?;
    let frame = context.sql(&format!("SELECT {sql} AS result FROM input")).await?;
    let collect = async {
        let batches = frame.collect().await?;
        let columns: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(0).as_ref()).collect();
        Ok(cast(&concat(&columns)?, &arrow_type(result))?)
    };
    Ok(collect.await)
}

fn equal(left: &ArrayRef, right: &ArrayRef) -> bool {
    // Every NaN is one value.
    match (
        left.as_primitive_opt::<Float64Type>(),
        right.as_primitive_opt::<Float64Type>(),
    ) {
        (Some(left), Some(right)) => {
            let bits = |value: Option<f64>| value.map(|value| if value.is_nan() { f64::NAN } else { value }.to_bits());
            left.iter().map(bits).eq(right.iter().map(bits))
        }
        _ => left == right,
    }
}

fn evaluate(expression: &Expression, rows: &RecordBatch) -> ArrayRef {
    let columns: Vec<ArrayRef> = expression
        .references()
        .iter()
        .map(|index| Arc::clone(rows.column(*index)))
        .collect();
    expression
        .evaluate(&columns, rows.num_rows())
        .expect("no value makes it fail")
}

fn compare(sql: &str, kind: Kind, rows: &[Row]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let (all, result) = (batch(rows), kind.result());
    let compiled = Expression::compile(sql, &inputs(), &result);
    let answer = match &compiled {
        Ok(compiled) => evaluate(compiled, &all),
        // `abs(NULL)` and the like are floats, which are no whole numbers.
        Err(error) if error.kind == ErrorKind::WrongType => return Ok(()),
        // What cannot be compiled cannot be queried.
        Err(error) => {
            let engine = runtime.block_on(engine(sql, all, &result));
            prop_assert!(
                !matches!(engine, Ok(Ok(_))),
                "{sql}: {error}, but the engine gives {engine:?}"
            );
            return Ok(());
        }
    };
    if let Ok(Ok(expected)) = runtime.block_on(engine(sql, all.clone(), &result))
        && equal(&answer, &expected)
    {
        return Ok(());
    }
    for (index, row) in rows.iter().enumerate() {
        let found = answer.slice(index, 1);
        match runtime.block_on(engine(sql, all.slice(index, 1), &result)) {
            Ok(Ok(expected)) => prop_assert!(
                equal(&found, &expected),
                "{sql} for {:?}: {found:?}, but the engine gives {expected:?}",
                row
            ),
            // A constant part without a value fails the engine's optimizer, though no row may need it.
            Ok(Err(DataFusionError::Context(rule, _))) if rule.starts_with("Optimizer rule") => {}
            Ok(Err(error)) => prop_assert!(
                found.is_null(0),
                "{sql} for {:?}: {found:?}, but the engine fails: {error}",
                row
            ),
            Err(error) => prop_assert!(false, "{sql} is compiled, but the engine does not plan it: {error}"),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn expressions_give_what_the_engine_gives(
        (kind, sql) in select(KINDS.to_vec()).prop_flat_map(|kind| expression(kind, 3).prop_map(move |sql| (kind, sql))),
        rows in rows(),
    ) {
        compare(&sql, kind, &rows)?;
    }

    #[test]
    fn whole_numbers_beyond_their_range_are_null(
        pairs in vec((limit(), limit()), 1..8),
        operator in select(vec!["+", "-", "*", "/", "%"]),
    ) {
        let expression = Expression::compile(&format!("a {operator} b"), &inputs(), &Kind::Whole.result()).expect("compiles");
        let left: Int64Array = pairs.iter().map(|pair| pair.0).collect();
        let right: Int64Array = pairs.iter().map(|pair| pair.1).collect();
        let found = expression.evaluate(&[Arc::new(left), Arc::new(right)], pairs.len()).expect("a column");
        let expected: Int64Array = pairs.iter().map(|&(left, right)| {
            let (left, right) = (left?, right?);
            match operator {
                "+" => left.checked_add(right),
                "-" => left.checked_sub(right),
                "*" => left.checked_mul(right),
                "/" => left.checked_div(right),
                // The least number has a remainder, 0, though it has no quotient by -1.
                _ => (right != 0).then(|| left.wrapping_rem(right)),
            }
        }).collect();
        prop_assert_eq!(found.as_ref(), &expected as &dyn Array);
    }
}

fn limit() -> impl Strategy<Value = Option<i64>> {
    option::of(prop_oneof![
        select(vec![i64::MIN, i64::MIN + 1, -1, 0, 1, 2, i64::MAX - 1, i64::MAX]),
        any::<i64>(),
        -10..10_i64,
    ])
}
