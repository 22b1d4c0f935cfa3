//! The answer now: several groups and entities in one request, views, expressions, ages.

use forebay_api::Code;
use serde_json::{Value, json};

use crate::stage::{Stage, place};
use crate::times::{self, text};

const BUNDLE: &str = "
kind: Domain
name: DOMAIN
---
kind: Entity
name: DOMAIN_item
domain: DOMAIN
keys: [{name: item_id, type: int64}]
---
kind: Entity
name: DOMAIN_user
domain: DOMAIN
keys: [{name: user_id, type: string}]
---
kind: FeatureGroup
name: DOMAIN.facts
entities: [DOMAIN_item]
features: [{name: price, type: float64}, {name: stock, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.fresh
entities: [DOMAIN_item]
ttl: 1h
features: [{name: views, type: int64}]
---
kind: FeatureGroup
name: DOMAIN.profile
entities: [DOMAIN_user]
features: [{name: city, type: string}]
---
kind: FeatureGroup
name: DOMAIN.taste
entities: [DOMAIN_user, DOMAIN_item]
features: [{name: liking, type: float32}]
---
kind: FeatureView
name: DOMAIN_model
domain: DOMAIN
features:
  - {feature: DOMAIN.facts.price, as: price}
  - DOMAIN.facts.stock
  - {feature: DOMAIN.profile.city, as: buyer_city, keys: {user_id: buyer_id}}
request: [{name: offer, type: float64}]
expressions:
  - {name: offer_ratio, type: float64, sql: offer / price}
  - {name: sold_out, type: bool, sql: 'coalesce(stock = 0, true)'}
";

pub async fn plays(stage: &Stage) {
    stage.apply(BUNDLE).await;
    let ago = |seconds: i64| text(times::now() / 1_000_000 * 1_000_000 + 7 - seconds * 1_000_000);
    let (old, recent) = (ago(7200), ago(60));
    stage
        .push(
            "facts",
            &[
                json!({"item_id": 1, "event_time": old, "price": 200.0, "stock": 9_007_199_254_740_993_i64}),
                json!({"item_id": 2, "event_time": recent, "price": 50.0, "stock": null}),
            ],
        )
        .await;
    stage
        .push(
            "fresh",
            &[
                json!({"item_id": 1, "event_time": recent, "views": 3}),
                json!({"item_id": 2, "event_time": old, "views": 4}),
            ],
        )
        .await;
    stage
        .push(
            "profile",
            &[
                json!({"user_id": "u1", "event_time": recent, "city": "Recife"}),
                json!({"user_id": "", "event_time": recent, "city": "Natal"}),
            ],
        )
        .await;
    stage
        .push(
            "taste",
            &[
                json!({"user_id": "u1", "item_id": 1, "event_time": recent, "liking": 0.5}),
                json!({"user_id": "u1", "item_id": 2, "event_time": recent, "liking": "NaN"}),
            ],
        )
        .await;
    groups_and_entities_together(stage, &old, &recent).await;
    a_view_and_its_revisions(stage).await;
    ages(stage).await;
    forms(stage).await;
}

fn names(stage: &Stage, features: &[&str]) -> Vec<String> {
    features.iter().map(|feature| stage.group(feature)).collect()
}

fn values(answer: &Value, name: &str) -> Value {
    answer["results"][place(answer, name)]["values"].clone()
}

async fn groups_and_entities_together(stage: &Stage, old: &str, recent: &str) {
    let asked = names(stage, &["facts.price", "fresh.views", "profile.city", "taste.liking"]);
    let answer = stage
        .online(&asked, json!({"item_id": [1, 2, 2, 3], "user_id": ["u1"]}))
        .await;
    let order: Vec<_> = answer["metadata"]["feature_names"]
        .as_array()
        .expect("names")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        order[order.len() - 4..],
        asked,
        "features in the order asked, after the keys"
    );
    let column = |name: &str| answer["results"][place(&answer, &stage.group(name))].clone();
    assert_eq!(column("facts.price")["values"], json!([200.0, 50.0, 50.0, null]));
    assert_eq!(
        column("facts.price")["event_timestamps"],
        json!([old, recent, recent, null])
    );
    assert_eq!(
        column("fresh.views")["statuses"],
        json!(["PRESENT", "OUTSIDE_MAX_AGE", "OUTSIDE_MAX_AGE", "NOT_FOUND"])
    );
    assert_eq!(
        column("fresh.views")["values"],
        json!([3, null, null, null]),
        "a withheld value is not shown"
    );
    assert_eq!(
        column("fresh.views")["event_timestamps"],
        json!([recent, old, old, null])
    );
    assert_eq!(
        column("profile.city")["values"],
        json!(["Recife", "Recife", "Recife", "Recife"]),
        "length 1 is repeated"
    );
    assert_eq!(column("taste.liking")["values"], json!([0.5, "NaN", "NaN", null]));
    let keys = &answer["results"][place(&answer, "item_id")];
    assert_eq!(
        (&keys["values"], &keys["event_timestamps"]),
        (&json!([1, 2, 2, 3]), &json!([null, null, null, null]))
    );

    // Keys are not what their texts joined would be.
    let answer = stage
        .online(
            &names(stage, &["profile.city"]),
            json!({"user_id": ["", "u1", "u", "u1 "]}),
        )
        .await;
    assert_eq!(
        values(&answer, &stage.group("profile.city")),
        json!(["Natal", "Recife", null, null])
    );
}

async fn a_view_and_its_revisions(stage: &Stage) {
    let view = format!("{}_model", stage.domain);
    let ask = async |revision: Value| {
        let mut body = json!({"view": view, "entities": {"item_id": [1, 2, 3], "buyer_id": ["u1"]}, "request": {"offer": [100.0, 100.0, 100.0]}});
        if !revision.is_null() {
            body["revision"] = revision;
        }
        stage.http.post("/v1/online-features", &body).await.expect(200)
    };
    let answer = ask(Value::Null).await;
    assert_eq!(answer["metadata"]["view_revision"], 1);
    assert_eq!(values(&answer, "price"), json!([200.0, 50.0, null]));
    assert_eq!(
        values(&answer, &stage.group("facts.stock")),
        json!([9_007_199_254_740_993_i64, null, null])
    );
    assert_eq!(values(&answer, "buyer_city"), json!(["Recife", "Recife", "Recife"]));
    let ratio = &answer["results"][place(&answer, "offer_ratio")];
    assert_eq!(
        (&ratio["values"], &ratio["statuses"]),
        (&json!([0.5, 2.0, null]), &json!(["PRESENT", "PRESENT", "NULL_VALUE"]))
    );
    assert_eq!(
        values(&answer, "sold_out"),
        json!([false, true, true]),
        "missing inputs are null to an expression"
    );

    let second = BUNDLE
        .split("---")
        .last()
        .expect("the view")
        .replace("sql: offer / price}", "sql: price / offer}");
    let applied = stage.apply(&second).await;
    assert_eq!(applied["changes"][0]["revision"], 2, "{applied}");
    assert_eq!(values(&ask(Value::Null).await, "offer_ratio"), json!([2.0, 0.5, null]));
    let pinned = ask(json!(1)).await;
    assert_eq!(pinned["metadata"]["view_revision"], 1);
    assert_eq!(
        values(&pinned, "offer_ratio"),
        json!([0.5, 2.0, null]),
        "a revision fixes the expressions"
    );
}

async fn ages(stage: &Stage) {
    let body = json!({"features": names(stage, &["facts.price", "fresh.views"]), "entities": {"item_id": [1, 2]}, "max_age": "10m"});
    let answer = stage.http.post("/v1/online-features", &body).await.expect(200);
    let statuses = |name: &str| answer["results"][place(&answer, &stage.group(name))]["statuses"].clone();
    assert_eq!(statuses("facts.price"), json!(["OUTSIDE_MAX_AGE", "PRESENT"]));
    assert_eq!(
        statuses("fresh.views"),
        json!(["PRESENT", "OUTSIDE_MAX_AGE"]),
        "a max_age never lengthens a ttl"
    );
}

async fn forms(stage: &Stage) {
    let body = json!({"features": names(stage, &["facts.stock"]), "entities": {"item_id": ["1"]}, "include": ["values"], "int64": "string"});
    let answer = stage.http.post("/v1/online-features", &body).await.expect(200);
    let column = &answer["results"][place(&answer, &stage.group("facts.stock"))];
    assert_eq!(
        *column,
        json!({"values": ["9007199254740993"]}),
        "only what is included, int64 as text"
    );

    let body = json!({"features": names(stage, &["facts.price"]), "entities": {"item_id": [1]}}).to_string();
    for accepted in ["application/vnd.apache.arrow.stream", "application/vnd.msgpack"] {
        let headers = [("content-type", "application/json"), ("accept", accepted)];
        let answer = stage
            .http
            .send("POST", "/v1/online-features", &headers, body.clone().into_bytes())
            .await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, accepted),
            "{}",
            answer.text()
        );
    }
    let headers = [("content-type", "application/json"), ("accept", "image/png")];
    stage
        .http
        .send("POST", "/v1/online-features", &headers, body.into_bytes())
        .await
        .problem(Code::NotAcceptable);
}
