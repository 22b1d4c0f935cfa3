//! The registry over HTTP.

mod apply;
mod breaks;
mod cassandra;
mod confluent;
mod confluent_client;
mod definitions;
mod reads;
mod replicas;

use serde_json::Value;

/// A small chain: raw -> sum -> view.
const HOUSE: &str = "
kind: Domain
name: d
---
kind: Entity
name: e
domain: d
keys: [{name: k, type: int64}]
---
kind: FeatureGroup
name: d.raw
entities: [e]
features: [{name: a, type: int64}, {name: b, type: int64}]
---
kind: FeatureGroup
name: d.sum
entities: [e]
features: [{name: total, type: int64}]
batch: {sql: \"SELECT k, event_time, a AS total FROM d.raw\"}
---
kind: FeatureView
name: v
domain: d
features: [d.sum.total]
";

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| item["name"].as_str().expect("a name"))
        .collect()
}

#[test]
fn the_openapi_document_is_up_to_date() {
    forebay_server::assert_checked_in("registry", &crate::openapi());
}
