//! Writers of other projects on a group's Delta table: rows come online, rewrites change nothing, removals stop the group.

use std::time::Duration;

use serde_json::{Value, json};

use crate::python;
use crate::stage::{Stage, column, eventually};

const GROUP: &str = "
kind: Domain
name: DOMAIN
---
kind: Entity
name: DOMAIN_item
domain: DOMAIN
keys: [{name: item_id, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.facts
entities: [DOMAIN_item]
ingest: commits
features: [{name: score, type: float64}, {name: label, type: string}]
";

/// An append by deltalake is ingested; an OPTIMIZE by it changes no answer; a DELETE by it stops the group, loudly.
pub async fn plays(stage: &Stage) {
    stage.apply(GROUP).await;
    let score = || stage.group("facts.score");
    stage.has_table("facts").await;
    append(
        stage,
        r#"[{"item_id": 1, "age": 100, "score": 0.5, "label": "a"}, {"item_id": 2, "age": 50, "score": null, "label": ""}]"#,
    );
    answers(
        stage,
        json!([0.5, null, null]),
        json!(["PRESENT", "NULL_VALUE", "NOT_FOUND"]),
    )
    .await;
    // A late row goes offline and never over a newer one online; a newer one wins; a delete is a row.
    append(stage, r#"[{"item_id": 1, "age": 500, "score": 9.0, "label": "late"}]"#);
    append(
        stage,
        r#"[{"item_id": 2, "age": 10, "score": 2.0, "label": "b"}, {"item_id": 3, "age": 10, "score": 3.0, "label": "c"}]"#,
    );
    answers(stage, json!([0.5, 2.0, 3.0]), json!(["PRESENT", "PRESENT", "PRESENT"])).await;
    append(
        stage,
        r#"[{"item_id": 3, "age": 5, "score": null, "label": null, "deleted": true}]"#,
    );
    answers(
        stage,
        json!([0.5, 2.0, null]),
        json!(["PRESENT", "PRESENT", "NOT_FOUND"]),
    )
    .await;

    let history = json!({"features": [score()], "period": {}, "entities": {"item_id": [1]}});
    let before = stage.http.post("/v1/historical-features", &history).await.expect(200);
    assert_eq!(column(&before, &score()), &vec![json!(9.0), json!(0.5)]);
    outsider(stage, &["optimize"]);
    append(stage, r#"[{"item_id": 4, "age": 5, "score": 4.0, "label": "after"}]"#);
    eventually(
        Duration::from_secs(20),
        "rows after the OPTIMIZE come online",
        async || {
            let answer = stage.online(&[score()], json!({"item_id": [4]})).await;
            let seen = &answer["results"][1]["values"];
            if *seen == json!([4.0]) {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        },
    )
    .await;
    let after = stage.http.post("/v1/historical-features", &history).await.expect(200);
    assert_eq!(before["columns"], after["columns"], "a rewrite changes no answer");
    answers(
        stage,
        json!([0.5, 2.0, null]),
        json!(["PRESENT", "PRESENT", "NOT_FOUND"]),
    )
    .await;
}

/// A commit that takes rows away stops the group; online keeps what it had until an operator rebuilds it.
pub async fn a_delete_stops_the_group(stage: &Stage, stopped: impl AsyncFn(&str) -> bool) {
    stage.apply(GROUP).await;
    stage.has_table("facts").await;
    append(stage, r#"[{"item_id": 1, "age": 100, "score": 0.5, "label": "a"}]"#);
    answers(
        stage,
        json!([0.5, null, null]),
        json!(["PRESENT", "NOT_FOUND", "NOT_FOUND"]),
    )
    .await;
    outsider(stage, &["delete"]);
    append(stage, r#"[{"item_id": 2, "age": 10, "score": 2.0, "label": "b"}]"#);
    let group = stage.group("facts");
    eventually(Duration::from_secs(20), "the group is stopped", async || {
        if stopped(&group).await {
            Ok(())
        } else {
            Err("it goes on".to_owned())
        }
    })
    .await;
    answers(
        stage,
        json!([0.5, null, null]),
        json!(["PRESENT", "NOT_FOUND", "NOT_FOUND"]),
    )
    .await;
}

fn append(stage: &Stage, rows: &str) {
    outsider(stage, &["append", rows]);
}

/// A command of `outsider.py` on the group's table.
fn outsider(stage: &Stage, words: &[&str]) {
    let table = stage.lake.location(&stage.table("facts"));
    let arguments: Vec<_> = words[..1]
        .iter()
        .copied()
        .chain([table.as_str()])
        .chain(words[1..].iter().copied())
        .collect();
    python::run_on(&stage.lake, "outsider.py", &arguments);
}

/// Waits until the scores of items 1 to 3 are these.
async fn answers(stage: &Stage, values: Value, statuses: Value) {
    let score = stage.group("facts.score");
    eventually(Duration::from_secs(20), "the rows are online", async || {
        let answer = stage
            .online(std::slice::from_ref(&score), json!({"item_id": [1, 2, 3]}))
            .await;
        let seen = &answer["results"][1];
        if seen["values"] == values && seen["statuses"] == statuses {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    })
    .await;
}
