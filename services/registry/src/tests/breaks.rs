//! Changes that take something away.

use serde_json::{Value, json};

use super::{HOUSE, names};
use crate::testing::{CONTRACT, Running, answer};

#[tokio::test]
async fn a_change_that_breaks_a_reader_is_shown_by_plan_and_refused_by_apply() {
    let running = Running::start().await;
    running.applied(HOUSE).await;
    let without = "kind: FeatureGroup\nname: d.raw\nentities: [e]\nfeatures: [{name: b, type: int64}]\n";
    let plan = answer(running.post_yaml("/v1/plan", without), 200).await;
    let expected = json!([{"object": "d.raw.a", "reader": "d.sum.total", "why": "removed"}]);
    assert_eq!(plan["breaks"], expected);
    let refused = answer(running.post_yaml("/v1/apply", without), 409).await;
    assert_eq!(
        (&refused["code"], &refused["breaks"]),
        (&json!("breaking_change"), &expected)
    );
    assert_eq!(running.read("/v1/info").await["registry_revision"], 1);

    // With its reader changed in the same bundle it is fine, and the feature may come back with its type only.
    let both = format!(
        "{without}---\nkind: FeatureGroup\nname: d.sum\nentities: [e]\nfeatures: [{{name: total, type: int64}}]\nbatch: {{sql: 'SELECT k, event_time, b AS total FROM d.raw'}}\n"
    );
    let applied = running.applied(&both).await;
    assert_eq!(applied["affects"], json!([{"reader": "v", "why": "sql_changed"}]));
    let other =
        "kind: FeatureGroup\nname: d.raw\nentities: [e]\nfeatures: [{name: a, type: string}, {name: b, type: int64}]\n";
    let refused = answer(running.post_yaml("/v1/apply", other), 409).await;
    assert_eq!(refused["code"], "needs_new_generation");
    running.applied(&other.replace("string", "int64")).await;
}

#[tokio::test]
async fn retyping_and_removing_are_breaks_and_widening_needs_a_generation() {
    let running = Running::start().await;
    running.applied(HOUSE).await;
    for (yaml, object, reader, why) in [
        (
            "kind: FeatureGroup\nname: d.raw\nentities: [e]\nfeatures: [{name: a, type: string}, {name: b, type: int64}]\n",
            "d.raw.a",
            "d.sum.total",
            "retyped",
        ),
        (
            "kind: Entity\nname: e\ndomain: d\nkeys: [{name: k, type: string}]\n",
            "e",
            "d.raw",
            "keys_changed",
        ),
    ] {
        let refused = answer(running.post_yaml("/v1/apply", yaml), 409).await;
        let found = refused["breaks"].as_array().expect("breaks");
        assert!(
            found.contains(&json!({"object": object, "reader": reader, "why": why})),
            "{refused}"
        );
    }
    let refused = answer(running.delete("/v1/groups/d.sum"), 409).await;
    assert_eq!(
        refused["breaks"][0],
        json!({"object": "d.sum.total", "reader": "v", "why": "removed"})
    );
    let refused = answer(running.delete("/v1/domains/d"), 409).await;
    assert_eq!(refused["code"], "breaking_change");
    let retyped = "kind: FeatureGroup\nname: d.raw\nentities: [e]\nfeatures: [{name: a, type: int64}, {name: b, type: float64}]\n";
    assert_eq!(
        answer(running.post_yaml("/v1/apply", retyped), 409).await["code"],
        "needs_new_generation"
    );
}

#[tokio::test]
async fn prune_removes_what_the_bundle_leaves_out_of_its_domains() {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    let parts: Vec<&str> = CONTRACT.split("---\n").collect();
    let kept: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !part.contains("product.heat") && !part.contains("visitor"))
        .collect();
    let bundle = kept.join("---\n");
    let plan = answer(running.post_yaml("/v1/plan?prune=true", &bundle), 200).await;
    let deleted = |plan: &Value| -> Vec<String> {
        let changes = plan["changes"].as_array().expect("changes").clone();
        let gone = changes.into_iter().filter(|change| change["action"] == "delete");
        gone.map(|change| change["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    // The view and the streaming group name visitors, so that they were left out here too.
    assert_eq!(
        deleted(&plan),
        ["clicks", "product.heat", "product.interest", "fair_price"]
    );
    let applied = running.post_yaml("/v1/apply?prune=true", &bundle);
    assert_eq!(deleted(&answer(applied, 200).await).len(), 4);
    assert_eq!(
        names(&running.read("/v1/groups").await),
        ["product.value", "product.yield", "visitor.profile"]
    );
    assert_eq!(names(&running.read("/v1/domains").await), ["product", "visitor"]);
}

#[tokio::test]
async fn a_deleted_group_comes_back_with_its_rows_and_a_purged_one_begins_anew() {
    let running = Running::start().await;
    let bundle = HOUSE
        .split("---\nkind: FeatureGroup\nname: d.sum")
        .next()
        .expect("the first part");
    running.applied(bundle).await;
    let schema = |running: &Running| {
        let group = "d.raw".parse().expect("a group");
        running
            .catalog
            .current()
            .group(&group)
            .expect("registered")
            .schema
            .clone()
    };
    let first = schema(&running);
    let stale = answer(running.delete("/v1/groups/d.raw").header("if-match", "\"7\""), 412).await;
    assert_eq!(stale["code"], "stale_revision");
    let deleted = answer(running.delete("/v1/groups/d.raw").header("if-match", "\"1\""), 200).await;
    assert_eq!(deleted["changes"][0]["revision"], 2);
    answer(running.get("/v1/groups/d.raw"), 404).await;
    assert_eq!(running.read("/v1/groups/d.raw?revision=1").await["name"], "d.raw");
    assert!(running.tables.purged.lock().is_empty());

    let applied = running.applied(bundle).await;
    let change = applied["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .find(|c| c["name"] == "d.raw")
        .expect("d.raw")
        .clone();
    assert_eq!((&change["action"], &change["revision"]), (&json!("create"), &json!(3)));
    assert_eq!(schema(&running), first);

    answer(running.delete("/v1/groups/d.raw?purge=true"), 200).await;
    assert!(running.tables.purged.lock().contains(&first));
    running.applied(bundle).await;
    let anew = schema(&running);
    assert_eq!(anew.generation.0, first.generation.0 + 1);
    assert_ne!(
        anew.id, first.id,
        "stores may purge by the number alone, and once more after a restart"
    );
    assert_eq!(
        answer(running.delete("/v1/entities/e?purge=true"), 422).await["code"],
        "invalid_combination"
    );
}
