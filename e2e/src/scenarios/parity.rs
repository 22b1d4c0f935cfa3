//! Parity: the online answer at T, the point-in-time answer for T as known at T, and the naive oracle are one answer.
//!
//! A [`Plan`] is drawn at random: late rows, rows of equal times, deletes, nulls, every type, requests sent twice, features
//! that are added, hidden and brought back between the pushes. [`Filled`] is what an installation then holds, to be asked
//! at once, and again after whatever must change no answer.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::oracle::{Oracle, Row, Told};
use crate::stage::{Stage, column, place};
use crate::times::{self, text};

/// A feature of every type and the values it takes, as JSON writes them.
fn features() -> Vec<(&'static str, &'static str, Vec<Value>)> {
    vec![
        ("flag", "bool", vec![json!(true), json!(false)]),
        ("small", "int32", vec![json!(0), json!(i32::MIN), json!(i32::MAX)]),
        (
            "large",
            "int64",
            vec![
                json!(0),
                json!(9_007_199_254_740_993_i64),
                json!(i64::MIN),
                json!(i64::MAX),
            ],
        ),
        (
            "single",
            "float32",
            vec![json!(0.0), json!(-1.5), json!("NaN"), json!("Infinity")],
        ),
        (
            "double",
            "float64",
            vec![json!(0.0), json!(0.1), json!(1e300), json!("NaN"), json!("-Infinity")],
        ),
        (
            "words",
            "string",
            vec![json!(""), json!("a|b"), json!("tab\t, quote \" and ü"), json!("null")],
        ),
        ("bytes", "binary", vec![json!(""), json!("AP8="), json!("AAAA")]),
        ("day", "date", vec![json!("1969-12-31"), json!("2026-01-02")]),
        (
            "moment",
            "timestamp",
            vec![
                json!("1969-12-31T23:59:59.999999Z"),
                json!("2026-01-02T03:04:05.000006Z"),
            ],
        ),
        (
            "money",
            "decimal(20,4)",
            vec![json!("0.0000"), json!("-1234567890123456.7891")],
        ),
        (
            "numbers",
            "list<int64>",
            vec![json!([]), json!([1, null, 9_007_199_254_740_993_i64])],
        ),
        (
            "texts",
            "list<string>",
            vec![json!([]), json!([""]), json!(["a", "b,c"])],
        ),
        (
            "place",
            "\"vector<float32, 3>\"",
            vec![json!([0.0, 1.5, -2.0]), json!([1.0, 1.0, 1.0])],
        ),
    ]
}

/// How many features a group has at first; the others are added later.
const AT_FIRST: usize = 8;
/// The feature that is hidden for a while.
const HIDDEN: usize = 2;

/// The key columns of a group, with three keys.
fn keys(composite: bool) -> Vec<(&'static str, &'static str, [Value; 3])> {
    if composite {
        vec![
            ("word", "string", [json!("a|b"), json!("a"), json!("a")]),
            ("other", "string", [json!("c"), json!("b|c"), json!("")]),
            (
                "number",
                "int64",
                [json!(1), json!(1), json!(-9_007_199_254_740_993_i64)],
            ),
            ("small_number", "int32", [json!(23), json!(23), json!(-1)]),
            ("yes", "bool", [json!(true), json!(true), json!(false)]),
            (
                "on_day",
                "date",
                [json!("2026-01-02"), json!("2026-01-02"), json!("1969-12-31")],
            ),
            (
                "at_moment",
                "timestamp",
                [
                    json!("2026-01-02T03:04:05.000006Z"),
                    json!("2026-01-02T03:04:05.000006Z"),
                    json!("1969-12-31T23:59:59.999999Z"),
                ],
            ),
            ("raw", "binary", [json!("AA=="), json!(""), json!("/w==")]),
        ]
    } else {
        vec![(
            "id",
            "int64",
            [json!(1), json!(i64::MIN), json!(9_007_199_254_740_993_i64)],
        )]
    }
}

/// Ages of rows in seconds. None is within minutes of a ttl, so that an answer does not change while it is checked.
const AGES: [i64; 8] = [40, 40, 90, 600, 3000, 4200, 85_000, 10_000_000];
const TTLS: [Option<(&str, i64)>; 3] = [None, Some(("1h", 3600)), Some(("1d", 86_400))];

/// A row to be pushed; the numbers choose among the few keys, ages and values.
#[derive(Clone, Debug)]
pub struct Draft {
    key: usize,
    age: usize,
    /// Microseconds before the age: rows a hair apart.
    hair: i64,
    deleted: bool,
    /// Per feature: 0 is null, the others choose a value.
    values: Vec<usize>,
}

/// What happens to a group.
#[derive(Clone, Debug)]
pub enum Step {
    Push(Vec<Draft>),
    /// The request of an earlier push, once more with its key.
    Repeat(usize),
    AddFeatures,
    Hide,
    BringBack,
}

/// The life of one group.
#[derive(Clone, Debug)]
pub struct Plan {
    composite: bool,
    ttl: Option<(&'static str, i64)>,
    steps: Vec<Step>,
}

/// Plans of every kind.
pub fn plans() -> impl Strategy<Value = Plan> {
    let draft = (
        0..3_usize,
        0..AGES.len(),
        0..2_i64,
        prop::bool::weighted(0.15),
        vec(0..6_usize, features().len()),
    )
        .prop_map(|(key, age, hair, deleted, values)| Draft {
            key,
            age,
            hair,
            deleted,
            values,
        });
    let step = prop_oneof![
        6 => vec(draft, 1..8).prop_map(Step::Push),
        2 => (0..8_usize).prop_map(Step::Repeat),
        1 => Just(Step::AddFeatures),
        1 => Just(Step::Hide),
        1 => Just(Step::BringBack),
    ];
    (any::<bool>(), select(TTLS.to_vec()), vec(step, 3..10)).prop_map(|(composite, ttl, steps)| Plan {
        composite,
        ttl,
        steps,
    })
}

/// A group that holds rows, and what is expected of it.
#[derive(Debug)]
pub struct Filled {
    plan: Plan,
    group: String,
    oracle: Oracle,
    /// The features that are visible, as places in [`features`].
    visible: Vec<usize>,
    /// Moments between the pushes.
    marks: Vec<i64>,
}

/// Groups that were filled at random.
#[derive(Debug)]
pub struct Groups(Vec<Filled>);

impl Groups {
    /// Fills so many groups and checks each at once.
    pub async fn filled(stage: &Stage, count: usize) -> Self {
        let mut runner = TestRunner::default();
        let mut groups = Vec::new();
        for number in 0..count {
            let plan = plans().new_tree(&mut runner).expect("a plan").current();
            let group = fill(stage, &format!("g{number}"), &plan).await;
            group.check(stage).await;
            groups.push(group);
        }
        Groups(groups)
    }

    /// They still answer as they must.
    pub async fn check(&self, stage: &Stage) {
        for group in &self.0 {
            group.check(stage).await;
        }
    }
}

struct Pushed {
    key: String,
    body: Value,
    answer: Value,
}

/// Lives through a plan in a group of this name.
pub async fn fill(stage: &Stage, name: &str, plan: &Plan) -> Filled {
    let start = times::now() / 1_000_000 * 1_000_000 + 7;
    let ttl = plan.ttl.map(|(_, seconds)| seconds * 1_000_000);
    let mut filled = Filled {
        plan: plan.clone(),
        group: name.to_owned(),
        oracle: Oracle { rows: Vec::new(), ttl },
        visible: (0..AT_FIRST).collect(),
        marks: Vec::new(),
    };
    let mut pushed: Vec<Pushed> = Vec::new();
    filled.apply(stage).await;
    for step in &plan.steps {
        match step {
            Step::Push(drafts) => {
                let rows: Vec<_> = drafts.iter().map(|draft| filled.take(draft, start)).collect();
                let key = format!("{}-{name}-{}", stage.domain, pushed.len());
                let body = json!({"rows": rows});
                let answer = send(stage, name, &key, &body).await;
                assert_eq!(answer["accepted"], rows.len(), "{answer}");
                pushed.push(Pushed { key, body, answer });
                // Rows of the next push are taken in after this moment.
                filled.marks.push(times::now());
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            Step::Repeat(which) if !pushed.is_empty() => {
                let first = &pushed[which % pushed.len()];
                let again = send(stage, name, &first.key, &first.body).await;
                assert_eq!(
                    again["receipt"], first.answer["receipt"],
                    "a repeat answers as the first time"
                );
                assert_eq!(again["accepted"], first.answer["accepted"]);
            }
            Step::Repeat(_) => {}
            Step::AddFeatures => {
                filled.visible.extend(AT_FIRST..features().len());
                filled.visible.sort_unstable();
                filled.visible.dedup();
                filled.apply(stage).await;
            }
            Step::Hide => {
                filled.visible.retain(|feature| *feature != HIDDEN);
                filled.apply(stage).await;
            }
            Step::BringBack => {
                filled.visible.push(HIDDEN);
                filled.visible.sort_unstable();
                filled.visible.dedup();
                filled.apply(stage).await;
            }
        }
    }
    filled
}

async fn send(stage: &Stage, group: &str, key: &str, body: &Value) -> Value {
    let path = format!("/v1/rows/{}?wait=online,offline&timeout=60s", stage.group(group));
    stage
        .http
        .post_with(&path, &[("idempotency-key", key)], body)
        .await
        .expect(200)
}

impl Filled {
    /// Registers the group with the features that are visible.
    async fn apply(&self, stage: &Stage) {
        let keys: Vec<_> = keys(self.plan.composite)
            .iter()
            .map(|(name, kind, _)| format!("{{name: {name}, type: {kind}}}"))
            .collect();
        let all = features();
        let shown: Vec<_> = self
            .visible
            .iter()
            .map(|i| format!("{{name: {}, type: {}}}", all[*i].0, quoted(all[*i].1)))
            .collect();
        let ttl = self
            .plan
            .ttl
            .map(|(text, _)| format!("ttl: {text}\n"))
            .unwrap_or_default();
        stage
            .apply(&format!(
                "kind: Domain\nname: DOMAIN\n---\nkind: Entity\nname: DOMAIN_{name}\ndomain: DOMAIN\nkeys: [{}]\n---\nkind: FeatureGroup\nname: DOMAIN.{name}\nentities: [DOMAIN_{name}]\n{ttl}features: [{}]\n",
                keys.join(", "),
                shown.join(", "),
                name = self.group,
            ))
            .await;
    }

    /// A row as JSON; the oracle takes it in.
    fn take(&mut self, draft: &Draft, start: i64) -> Value {
        let event_time = start - AGES[draft.age] * 1_000_000 - draft.hair;
        let mut row = Map::from_iter([("event_time".to_owned(), json!(text(event_time)))]);
        let mut key = Vec::new();
        for (name, _, values) in keys(self.plan.composite) {
            key.push(values[draft.key].clone());
            row.insert(name.to_owned(), values[draft.key].clone());
        }
        let mut values = vec![Value::Null; features().len()];
        if draft.deleted {
            row.insert("_deleted".to_owned(), json!(true));
        } else {
            for feature in &self.visible {
                let (name, _, choices) = &features()[*feature];
                let value = match draft.values[*feature] {
                    0 => Value::Null,
                    n => choices[(n - 1) % choices.len()].clone(),
                };
                row.insert((*name).to_owned(), value.clone());
                values[*feature] = value;
            }
        }
        self.oracle.rows.push(Row {
            key,
            event_time,
            ingest_time: times::now(),
            deleted: draft.deleted,
            values,
        });
        Value::Object(row)
    }

    /// Asks online and offline at one moment, and offline at past moments as they were known then.
    pub async fn check(&self, stage: &Stage) {
        let all = features();
        let names: Vec<_> = self
            .visible
            .iter()
            .map(|i| format!("{}.{}", stage.group(&self.group), all[*i].0))
            .collect();
        let columns = keys(self.plan.composite);
        let key = |which: usize| {
            columns
                .iter()
                .map(|(_, _, values)| values[which].clone())
                .collect::<Vec<_>>()
        };

        let entities: Map<_, _> = columns
            .iter()
            .map(|(name, _, values)| ((*name).to_owned(), json!(values)))
            .collect();
        let at = times::now();
        let online = stage.online(&names, Value::Object(entities)).await;

        // The moment of the online answer, then every mark as known at every mark.
        let moments = self.marks.iter().chain([&at]);
        let mut asked: Vec<(usize, i64, i64)> = (0..3).map(|which| (which, at, at)).collect();
        for timestamp in moments.clone() {
            asked.extend(
                moments
                    .clone()
                    .flat_map(|known_at| (0..3).map(|which| (which, *timestamp, *known_at))),
            );
        }
        // Also as of the very times of rows: both ends of the interval are included.
        for row in &self.oracle.rows {
            let which = (0..3).find(|which| key(*which) == row.key).expect("one of the keys");
            let ends = [
                row.event_time - 1,
                row.event_time,
                row.event_time + self.oracle.ttl.unwrap_or(0),
                row.event_time + self.oracle.ttl.unwrap_or(0) + 1,
            ];
            asked.extend(ends.iter().filter(|end| **end <= at).map(|end| (which, *end, at)));
        }
        let mut spine: Map<_, _> = columns
            .iter()
            .map(|(name, _, values)| {
                (
                    (*name).to_owned(),
                    asked.iter().map(|(which, ..)| values[*which].clone()).collect(),
                )
            })
            .collect();
        spine.insert(
            "event_time".to_owned(),
            asked.iter().map(|(_, timestamp, _)| json!(text(*timestamp))).collect(),
        );
        spine.insert(
            "as_known".to_owned(),
            asked.iter().map(|(.., known_at)| json!(text(*known_at))).collect(),
        );
        let body = json!({
            "features": names,
            "spine": {"columns": spine},
            "known_at_column": "as_known",
            "include": ["values", "statuses", "event_timestamps"],
        });
        let offline = stage.http.post("/v1/historical-features", &body).await.expect(200);

        for (feature, name) in self.visible.iter().zip(&names) {
            let result = &online["results"][place(&online, name)];
            for which in 0..3 {
                let mut expected = self.oracle.told(&key(which), *feature, at, at);
                let seen = told(
                    &result["values"][which],
                    &result["statuses"][which],
                    &result["event_timestamps"][which],
                );
                // A row older than twice its ttl may have been swept.
                let swept = expected
                    .event_time
                    .zip(self.oracle.ttl)
                    .is_some_and(|(time, ttl)| at - time > 2 * ttl);
                if swept && seen.1 == "NOT_FOUND" {
                    expected = Told::nothing();
                }
                self.same(&expected, &seen, &format!("online {name}, key {which} at {}", text(at)));
            }
            let part = |suffix: &str| column(&offline, &format!("{name}{suffix}"));
            for (row, (which, timestamp, known_at)) in asked.iter().enumerate() {
                let expected = self.oracle.told(&key(*which), *feature, *timestamp, *known_at);
                let seen = told(&part("")[row], &part("__status")[row], &part("__event_timestamp")[row]);
                let place = format!(
                    "offline {name}, key {which} at {} as known at {}",
                    text(*timestamp),
                    text(*known_at)
                );
                self.same(&expected, &seen, &place);
            }
        }
    }

    #[track_caller]
    fn same(&self, expected: &Told, seen: &(Value, String, Option<String>), place: &str) {
        let time = expected.event_time.map(text);
        let is = equal(&expected.value, &seen.0) && expected.status == seen.1 && time == seen.2;
        assert!(
            is,
            "{place}:\nexpected {expected:?} {time:?}\nseen     {seen:?}\nrows: {:#?}\nplan: {:?}",
            self.oracle.rows, self.plan
        );
    }
}

fn quoted(data_type: &str) -> String {
    if data_type.starts_with('"') {
        data_type.to_owned()
    } else {
        format!("\"{data_type}\"")
    }
}

fn told(value: &Value, status: &Value, event_time: &Value) -> (Value, String, Option<String>) {
    (
        value.clone(),
        status.as_str().unwrap_or_default().to_owned(),
        event_time.as_str().map(str::to_owned),
    )
}

/// Whether two JSON values are one value: 0 and 0.0 are one number, but no integer is rounded to compare it.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}
