//! Feast's own client, unchanged, with its remote online store pointed at `/get-online-features`.

use serde_json::{Value, json};

use crate::python;
use crate::stage::Stage;

/// Values, nulls and missing keys arrive in Feast's client as they are; a feature service is a view.
pub async fn plays(stage: &Stage) {
    stage
        .apply(
            "
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
features:
  - {name: score, type: float64}
  - {name: number, type: int64}
  - {name: label, type: string}
  - {name: taste, type: 'vector<float32, 2>'}
---
kind: FeatureView
name: DOMAIN_model
domain: DOMAIN
features: [DOMAIN.facts.score, DOMAIN.facts.label]
",
        )
        .await;
    let rows = [
        json!({"item_id": 1, "event_time": "2026-01-02T03:04:05.000006Z", "score": 0.5, "number": 9_007_199_254_740_993_i64, "label": "a", "taste": [0.5, 1.5]}),
        json!({"item_id": 2, "event_time": "2026-01-02T03:04:05.000006Z", "score": null, "number": -1, "label": "", "taste": null}),
    ];
    stage.push("facts", &rows).await;
    let printed = python::run(
        "feast_client.py",
        &[
            &stage.http.base_url,
            &stage.group("facts"),
            &format!("{}_model", stage.domain),
        ],
    );
    let answers: Value =
        serde_json::from_str(printed.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{printed}"));
    assert_eq!(answers["score"], json!([0.5, null, null]), "{printed}");
    assert_eq!(
        answers["number"],
        json!([9_007_199_254_740_993_i64, -1, null]),
        "{printed}"
    );
    assert_eq!(answers["label"], json!(["a", "", null]), "{printed}");
    assert_eq!(answers["taste"], json!([[0.5, 1.5], null, null]), "{printed}");
    assert_eq!(answers["service"]["score"], json!([0.5, null, null]), "{printed}");
}
