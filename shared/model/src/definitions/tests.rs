use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Definition, DefinitionSet, Problem, parse, parse_one};

fn yaml(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).expect("YAML")
}

fn contract() -> Vec<Definition> {
    let parsed = parse(&yaml(include_str!("contract.yaml"))).expect("definitions");
    parsed.into_iter().map(|parsed| parsed.definition).collect()
}

fn problems(value: &Value) -> Vec<(String, &'static str)> {
    let problems: Vec<Problem> = parse_one(value).expect_err("problems");
    problems
        .into_iter()
        .map(|problem| (problem.pointer, problem.code))
        .collect()
}

#[test]
fn the_contracts_example_is_read_and_reads_back_from_its_canonical_form() {
    for definition in contract() {
        let written = serde_json::to_value(&definition).expect("JSON");
        let again = parse_one(&written).unwrap_or_else(|problems| panic!("{written:#}: {problems:?}"));
        assert_eq!(again, definition);
    }
    let set: DefinitionSet = contract().into_iter().collect();
    assert_eq!(set.validate(), []);
    assert_eq!((set.len(), set.groups().count(), set.views().count()), (12, 5, 1));
}

#[test]
fn shorthand_is_spelled_out() {
    let view = json!({
        "apiVersion": "forebay.dev/v1", "kind": "FeatureView", "name": "v", "domain": "d",
        "features": ["d.g.a", {"feature": "d.g.b", "as": "c", "keys": {"k": "l"}}]
    });
    let written = serde_json::to_value(parse_one(&view).expect("a view")).expect("JSON");
    assert_eq!(
        written,
        json!({
            "kind": "FeatureView", "name": "v", "domain": "d",
            "features": [{"feature": "d.g.a"}, {"feature": "d.g.b", "as": "c", "keys": {"k": "l"}}]
        })
    );
    let group = json!({
        "kind": "FeatureGroup", "name": "d.g", "domain": "d", "entities": ["e", {"entity": "f", "keys": {"k": "l"}}],
        "ttl": "60m", "features": [{"name": "a", "type": "vector<float32,8>"}]
    });
    let written = serde_json::to_value(parse_one(&group).expect("a group")).expect("JSON");
    assert_eq!(
        written,
        json!({
            "kind": "FeatureGroup", "name": "d.g", "entities": [{"entity": "e"}, {"entity": "f", "keys": {"k": "l"}}],
            "stores": ["online", "offline"], "ttl": "1h", "features": [{"name": "a", "type": "vector<float32, 8>"}],
            "ingest": "rows"
        })
    );
}

#[test]
fn every_problem_of_a_document_is_told_with_its_place() {
    let group = json!({
        "kind": "FeatureGroup", "name": "Product.value", "entities": [], "ttl": "90", "colour": 1,
        "features": [
            {"name": "event_time", "type": "int64"},
            {"name": "_x", "type": "int"},
            {"name": "ok", "type": "string", "checks": {"min": 0, "mxa": 1}},
        ],
        "batch": {"sql": " ", "trigger": {"every": "1h", "on_change": true}},
        "ingest": "rows"
    });
    let found = problems(&group);
    for expected in [
        ("/name", "invalid_name"),
        ("/entities", "invalid_value"),
        ("/ttl", "invalid_value"),
        ("/colour", "unknown_field"),
        ("/features/0/name", "reserved_name"),
        ("/features/1/name", "reserved_name"),
        ("/features/1/type", "invalid_type"),
        ("/features/2/checks/mxa", "unknown_field"),
        ("/features/2/checks", "wrong_type"),
        ("/batch/sql", "invalid_value"),
        ("/batch/trigger", "invalid_combination"),
        ("", "invalid_combination"),
    ] {
        assert!(
            found.contains(&(expected.0.to_owned(), expected.1)),
            "{expected:?} is not in {found:?}"
        );
    }
}

#[test]
fn an_unknown_field_names_what_was_meant() {
    let problems = parse_one(&json!({"kind": "Domain", "name": "a", "owner": ["x"]})).expect_err("a problem");
    assert_eq!(problems[0].nearest, ["owners"]);
    assert_eq!(
        problems[0].detail,
        "`owner` is not a field here; did you mean `owners`?"
    );
    assert_eq!(
        problems[0].object.as_ref().map(ToString::to_string).as_deref(),
        Some("Domain a")
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    let rows = |more: Value| {
        let mut group = json!({"kind": "FeatureGroup", "name": "d.g", "entities": ["e"], "features": [{"name": "a", "type": "int64"}]});
        let fields = group.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        group
    };
    for (more, pointer, code) in [
        (
            json!({"batch": {"sql": "SELECT 1"}, "ingest": "commits"}),
            "",
            "invalid_combination",
        ),
        (
            json!({"batch": {"sql": "SELECT 1"}, "depends_on": ["x"]}),
            "",
            "invalid_combination",
        ),
        (
            json!({"ingest": "commits", "stores": ["online"]}),
            "",
            "invalid_combination",
        ),
        (json!({"streaming": {"source": "s"}}), "", "missing_field"),
        (json!({"stores": []}), "/stores", "invalid_value"),
        (json!({"stores": ["onlin"]}), "/stores/0", "invalid_value"),
        (json!({"domain": "x"}), "/domain", "invalid_combination"),
        (
            json!({"features": [{"name": "a", "type": "int64"}, {"name": "a", "type": "int64"}]}),
            "",
            "duplicate",
        ),
        (
            json!({"batch": {"sql": "SELECT 1", "trigger": {"cron": "61 * * * *"}}}),
            "/batch/trigger",
            "invalid_value",
        ),
        (
            json!({"batch": {"sql": "SELECT 1", "trigger": {"cron": "1 * * * *", "time_zone": "Mars"}}}),
            "/batch/trigger",
            "invalid_value",
        ),
        (
            json!({"batch": {"sql": "SELECT 1", "inputs": {"_i": {"features": ["d.g.a"]}}}}),
            "/batch/inputs/_i",
            "reserved_name",
        ),
        (
            json!({"name": format!("{}.{}", "d".repeat(23), "g".repeat(24))}),
            "/name",
            "invalid_name",
        ),
    ] {
        let found = problems(&rows(more.clone()));
        assert!(found.contains(&(pointer.to_owned(), code)), "{more}: {found:?}");
    }
    let source = json!({"kind": "Source", "name": "s", "domain": "d", "delta": {"uri": "x"}, "kafka": {"topic": "t", "format": "json"}});
    assert!(problems(&source).contains(&(String::new(), "invalid_combination")));
    let view = json!({
        "kind": "FeatureView", "name": "v", "domain": "d", "features": ["d.g.a", "d.h.a"],
        "expressions": [{"name": "x", "type": "int64", "sql": "a"}]
    });
    assert_eq!(problems(&view), [(String::new(), "duplicate")]);
}

#[test]
fn a_document_that_is_no_object_is_told_so() {
    for (value, pointer, code) in [
        (json!([]), "", "wrong_type"),
        (json!({}), "", "missing_field"),
        (json!({"kind": "Domian"}), "/kind", "invalid_value"),
        (json!({"kind": "Domain"}), "", "missing_field"),
        (
            json!({"kind": "Domain", "name": "a", "apiVersion": "v2"}),
            "/apiVersion",
            "invalid_value",
        ),
        (
            json!({"kind": "Domain", "name": "a", "tags": {"pii": true}}),
            "/tags/pii",
            "wrong_type",
        ),
    ] {
        assert_eq!(problems(&value), [(pointer.to_owned(), code)], "{value}");
    }
}

#[test]
fn an_object_stands_once_in_a_bundle() {
    let domain = json!({"kind": "Domain", "name": "a"});
    let problems = parse(&[domain.clone(), Value::Null, domain]).expect_err("a duplicate");
    assert_eq!((problems[0].document, problems[0].code), (Some(2), "duplicate"));
}

#[test]
fn null_without_quotes_is_what_happens_on_fail() {
    let group = &yaml(
        "kind: FeatureGroup\nname: d.g\nentities: [e]\nfeatures: [{name: a, type: int64, checks: {min: 0, on_fail: null}}]",
    )[0];
    let written = serde_json::to_value(parse_one(group).expect("a group")).expect("JSON");
    assert_eq!(written["features"][0]["checks"]["on_fail"], "null");
}

#[test]
fn hostile_sizes_are_refused() {
    let long = "x".repeat(5_000);
    let found = problems(&json!({"kind": "Domain", "name": "a", "description": long, "owners": vec!["o"; 100]}));
    assert_eq!(
        found,
        [
            ("/description".to_owned(), "over_limit"),
            ("/owners".to_owned(), "over_limit")
        ]
    );
    let features: Vec<_> = (0..2_001)
        .map(|n| json!({"name": format!("f{n}"), "type": "int64"}))
        .collect();
    let group = json!({"kind": "FeatureGroup", "name": "d.g", "entities": ["e"], "features": features});
    assert_eq!(problems(&group), [("/features".to_owned(), "over_limit")]);
}

/// Any JSON, shallow.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_.~/ é]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z_/~]{0,6}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The `index`th value within a document, counting all of them; the document itself is the first.
fn nth_within<'a>(value: &'a mut Value, index: &mut usize) -> Option<&'a mut Value> {
    if *index == 0 {
        return Some(value);
    }
    *index -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth_within(item, index)),
        Value::Object(fields) => fields.values_mut().find_map(|field| nth_within(field, index)),
        _ => None,
    }
}

proptest! {
    #[test]
    fn whatever_stands_anywhere_is_read_or_refused_at_a_place(which in 0usize..12, index in 0usize..40, json in any_json()) {
        let mut document = yaml(include_str!("contract.yaml")).swap_remove(which);
        let mut left = index;
        if let Some(place) = nth_within(&mut document, &mut left) {
            *place = json;
        }
        match parse_one(&document) {
            Ok(definition) => {
                let written = serde_json::to_value(&definition).expect("JSON");
                prop_assert_eq!(parse_one(&written), Ok(definition));
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(document.pointer(&problem.pointer).is_some(), "{problem:?}");
                }
            }
        }
    }
}
