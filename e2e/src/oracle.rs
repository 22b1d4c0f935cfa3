//! The rules of DESIGN.md §3, as naively as they can be written: every row is looked at for every question.

use serde_json::Value;

/// A row as a caller pushed it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The key's values; equal keys are equal values.
    pub key: Vec<Value>,
    /// Microseconds UTC.
    pub event_time: i64,
    /// The moment at which it is known to have been taken in, microseconds UTC.
    pub ingest_time: i64,
    pub deleted: bool,
    /// One value per feature the group had when the row was written; features added later are null.
    pub values: Vec<Value>,
}

/// All rows of a group in the order in which they were taken in.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    pub rows: Vec<Row>,
    /// Microseconds; none: forever.
    pub ttl: Option<i64>,
}

/// What a reader must be told of one feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub value: Value,
    pub status: &'static str,
    /// The winning row's event time, unless nothing was found.
    pub event_time: Option<i64>,
}

impl Told {
    /// What is told where there is no row.
    pub fn nothing() -> Self {
        Told {
            value: Value::Null,
            status: "NOT_FOUND",
            event_time: None,
        }
    }
}

impl Oracle {
    /// The row that wins among all of a key, as of `at` and as was known at `known_at`: the greatest event time, then the
    /// last one taken in.
    fn winner(&self, key: &[Value], at: i64, known_at: i64) -> Option<&Row> {
        self.rows
            .iter()
            .filter(|row| row.key == key && row.event_time <= at && row.ingest_time <= known_at)
            .enumerate()
            .max_by_key(|(order, row)| (row.event_time, *order))
            .map(|(_, row)| row)
    }

    /// What is told of the `feature`th feature.
    pub fn told(&self, key: &[Value], feature: usize, at: i64, known_at: i64) -> Told {
        let Some(row) = self.winner(key, at, known_at) else {
            return Told::nothing();
        };
        if row.deleted {
            return Told::nothing();
        }
        let event_time = Some(row.event_time);
        if self.ttl.is_some_and(|ttl| at - row.event_time > ttl) {
            return Told {
                value: Value::Null,
                status: "OUTSIDE_MAX_AGE",
                event_time,
            };
        }
        let value = row.values.get(feature).cloned().unwrap_or(Value::Null);
        let status = if value.is_null() { "NULL_VALUE" } else { "PRESENT" };
        Told {
            value,
            status,
            event_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(event_time: i64, ingest_time: i64, value: Value) -> Row {
        Row {
            key: vec![json!(1)],
            event_time,
            ingest_time,
            deleted: value == "deleted",
            values: vec![value],
        }
    }

    #[test]
    fn the_rules_of_the_design() {
        let oracle = Oracle {
            rows: vec![
                row(10, 20, json!("a")),
                row(10, 21, json!("b")),
                row(5, 22, json!("late")),
                row(15, 23, json!(null)),
                row(30, 31, json!("deleted")),
            ],
            ttl: Some(10),
        };
        let told = |at, known_at| {
            let told = oracle.told(&[json!(1)], 0, at, known_at);
            (told.value, told.status, told.event_time)
        };
        assert_eq!(
            told(10, 20),
            (json!("a"), "PRESENT", Some(10)),
            "known later, b does not win yet"
        );
        assert_eq!(
            told(14, 99),
            (json!("b"), "PRESENT", Some(10)),
            "of equal times the last one"
        );
        assert_eq!(told(9, 99), (json!("late"), "PRESENT", Some(5)));
        assert_eq!(
            told(25, 99),
            (json!(null), "NULL_VALUE", Some(15)),
            "the ttl is inclusive"
        );
        assert_eq!(told(26, 99), (json!(null), "OUTSIDE_MAX_AGE", Some(15)));
        assert_eq!(told(30, 99), (json!(null), "NOT_FOUND", None));
        assert_eq!(told(4, 99), (json!(null), "NOT_FOUND", None));
    }
}
