use std::collections::BTreeMap;

use serde_json::json;

use super::{Action, Affect, AffectReason, Break, BreakReason, affects, breaks, changes, recompute};
use crate::{
    GroupName,
    definitions::{DefinitionSet, Kind, ObjectId, parse_one},
    graph::{ColumnRead, EdgeKind, Graph, Lineage},
};

/// raw -> sum -> view, and raw -> count, which reads no column of it.
fn set(sum_sql: &str, raw_features: &[&str]) -> DefinitionSet {
    let features: Vec<_> = raw_features
        .iter()
        .map(|name| json!({"name": name, "type": "int64"}))
        .collect();
    let objects = [
        json!({"kind": "Domain", "name": "d"}),
        json!({"kind": "Entity", "name": "e", "domain": "d", "keys": [{"name": "k", "type": "int64"}]}),
        json!({"kind": "FeatureGroup", "name": "d.raw", "entities": ["e"], "features": features}),
        json!({"kind": "FeatureGroup", "name": "d.sum", "entities": ["e"], "features": [{"name": "total", "type": "int64"}],
            "batch": {"sql": sum_sql}}),
        json!({"kind": "FeatureGroup", "name": "d.count", "entities": ["e"], "features": [{"name": "n", "type": "int64"}],
            "batch": {"sql": "SELECT k, count(*) AS n FROM d.sum GROUP BY k"}}),
        json!({"kind": "FeatureView", "name": "v", "domain": "d", "features": ["d.sum.total", "d.raw.b"]}),
    ];
    objects
        .iter()
        .map(|object| parse_one(object).expect("a definition"))
        .collect()
}

fn graph(set: &DefinitionSet) -> Graph {
    let name = |text: &str| text.parse::<GroupName>().expect("a group");
    let read = |table: &str, column: &str, kind| ColumnRead {
        table: table.parse().expect("a table"),
        column: column.to_owned(),
        kind,
    };
    let lineage = |table: &str, feature: &str, reads: Vec<ColumnRead>| Lineage {
        tables: [table.parse().expect("a table")].into(),
        features: [(feature.parse().expect("a name"), reads.into_iter().collect())].into(),
    };
    let lineages = BTreeMap::from([
        (
            name("d.sum"),
            lineage("d.raw", "total", vec![read("d.raw", "a", EdgeKind::Value)]),
        ),
        (
            name("d.count"),
            lineage("d.sum", "n", vec![read("d.sum", "k", EdgeKind::Influence)]),
        ),
    ]);
    Graph::build(set, &lineages).expect("no cycle")
}

const SQL: &str = "SELECT k, event_time, a AS total FROM d.raw";

#[test]
fn what_changes_is_told_and_what_does_not_too() {
    let (before, after) = (set(SQL, &["a", "b"]), set("SELECT 1", &["a", "b"]));
    let named = [
        ObjectId::new(Kind::Domain, "d"),
        ObjectId::new(Kind::FeatureGroup, "d.sum"),
    ];
    let found: Vec<_> = changes(&before, &after, &named)
        .into_iter()
        .map(|c| (c.id.name, c.action))
        .collect();
    assert_eq!(
        found,
        [("d".to_owned(), Action::None), ("d.sum".to_owned(), Action::Update)]
    );
    let found = changes(&before, &DefinitionSet::default(), &[]);
    assert!(found.len() == before.len() && found.iter().all(|change| change.action == Action::Delete));
}

#[test]
fn a_removed_feature_breaks_those_who_read_it_and_nobody_else() {
    let before = set(SQL, &["a", "b", "c"]);
    let broken = |features: &[&str]| breaks(&before, &graph(&before), &set(SQL, features));
    let removed = |object: &str, reader: &str| Break {
        object: object.to_owned(),
        reader: reader.to_owned(),
        why: BreakReason::Removed,
    };
    assert_eq!(broken(&["a", "b"]), [], "nobody reads c");
    assert_eq!(broken(&["b", "c"]), [removed("d.raw.a", "d.sum.total")]);
    assert_eq!(broken(&["a", "c"]), [removed("d.raw.b", "v")]);
    // With another query its reader is no reader of it any more.
    let mended = set("SELECT k, event_time, b AS total FROM d.raw", &["b", "c"]);
    assert_eq!(breaks(&before, &graph(&before), &mended), []);
}

#[test]
fn a_removed_group_breaks_also_those_who_read_no_feature_of_it() {
    let before = set(SQL, &["a", "b"]);
    let mut after = before.clone();
    after.remove(&ObjectId::new(Kind::FeatureGroup, "d.sum"));
    let readers: Vec<_> = breaks(&before, &graph(&before), &after)
        .into_iter()
        .map(|b| b.reader)
        .collect();
    assert_eq!(readers, ["d.count", "d.count.n", "v"]);
}

#[test]
fn changed_sql_affects_everything_downstream_and_recomputes_it_in_order() {
    let (before, after) = (
        set(SQL, &["a", "b"]),
        set("SELECT k, event_time, a + 1 AS total FROM d.raw", &["a", "b"]),
    );
    let affected = |reader: &str| Affect {
        reader: reader.to_owned(),
        why: AffectReason::SqlChanged,
    };
    let graph = graph(&after);
    assert_eq!(affects(&before, &after, &graph), [affected("d.count.n"), affected("v")]);
    let names: Vec<_> = recompute(&before, &after, &graph)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["d.sum", "d.count"]);
    assert!(recompute(&after, &after, &graph).is_empty() && affects(&after, &after, &graph).is_empty());
}
