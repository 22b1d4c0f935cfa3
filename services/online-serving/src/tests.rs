#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Float64Type, Int64Type},
    ipc::reader::StreamReader,
};
use forebay_catalog::Catalog;
use forebay_model::{GroupName, ManualClock, Timestamp};
use forebay_server::TestServer;
use forebay_storage::{OnlineStore, Provision};
use forebay_testkit::{TempStores, packed_rows, snapshot};
use serde_json::{Value, json};

use crate::{Deps, Limits};

const NOW: &str = "2026-01-10T00:00:00Z";

/// A server over the embedded store with some listings, visitors and pairs of both.
struct Fixture {
    server: TestServer,
    catalog: Arc<Catalog>,
    stores: TempStores,
}

fn definitions() -> Value {
    json!([
        {"kind": "Domain", "name": "product"},
        {"kind": "Domain", "name": "visitor"},
        {"kind": "Entity", "name": "product", "domain": "product", "keys": [{"name": "product_id", "type": "int64"}]},
        {"kind": "Entity", "name": "visitor", "domain": "visitor", "keys": [{"name": "visitor_id", "type": "string"}]},
        {"kind": "FeatureGroup", "name": "product.value", "entities": ["product"], "ttl": "5d", "features": [
            {"name": "sale_price", "type": "float64"}, {"name": "rooms", "type": "int64"}
        ]},
        {"kind": "FeatureGroup", "name": "product.text", "entities": ["product"], "features": [
            {"name": "title", "type": "string"}, {"name": "tags", "type": "list<string>"}, {"name": "big", "type": "int64"},
            {"name": "exact", "type": "decimal(10,2)"}, {"name": "embedding", "type": "vector<float32, 2>"}
        ]},
        {"kind": "FeatureGroup", "name": "visitor.profile", "entities": ["visitor"], "features": [{"name": "city", "type": "string"}]},
        {"kind": "FeatureGroup", "name": "visitor.affinity", "entities": ["visitor", "product"], "features": [{"name": "score", "type": "float64"}]},
        {"kind": "FeatureGroup", "name": "product.past", "entities": ["product"], "stores": ["offline"], "features": [{"name": "x", "type": "int64"}]},
        {"kind": "FeatureView", "name": "fair_price", "domain": "product",
         "features": [
            {"feature": "product.value.sale_price", "as": "price"},
            {"feature": "visitor.profile.city", "as": "buyer_city", "keys": {"visitor_id": "buyer_id"}},
            "product.value.rooms"
         ],
         "request": [{"name": "asked_price", "type": "float64"}],
         "expressions": [
            {"name": "asked_ratio", "type": "float64", "sql": "asked_price / price"},
            {"name": "per_room", "type": "int64", "sql": "CAST(price AS BIGINT) / rooms"}
         ]}
    ])
}

impl Fixture {
    async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let catalog = Arc::new(Catalog::new(snapshot(&definitions())));
        let stores = TempStores::open();
        let deps = Deps {
            catalog: Arc::clone(&catalog),
            store: Arc::clone(&stores.online) as Arc<dyn OnlineStore>,
            clock: Arc::new(ManualClock::at(Timestamp::parse(NOW).unwrap())),
            limits,
        };
        let server = TestServer::start([crate::service(deps)]).await;
        let fixture = Self {
            server,
            catalog,
            stores,
        };
        fixture
            .put(
                "product.value",
                json!([
                    {"product_id": 1, "event_time": "2026-01-09T03:04:05.000006Z", "sale_price": 450_000.0, "rooms": 3},
                    {"product_id": 2, "event_time": "2026-01-08T00:00:00Z", "sale_price": null, "rooms": 0},
                    {"product_id": 3, "event_time": "2026-01-05T00:00:00Z", "sale_price": 1.0, "rooms": 1},
                    {"product_id": 4, "event_time": "2026-01-04T23:59:59.999999Z", "sale_price": 2.0, "rooms": 1},
                    {"product_id": 5, "event_time": "2026-01-09T00:00:00Z", "_deleted": true}
                ]),
            )
            .await;
        fixture
            .put(
                "visitor.profile",
                json!([{"visitor_id": "v1", "event_time": "2026-01-01T00:00:00Z", "city": "Recife"}]),
            )
            .await;
        fixture
            .put(
                "visitor.affinity",
                json!([
                    {"visitor_id": "1", "product_id": 23, "event_time": "2026-01-01T00:00:00Z", "score": 0.5},
                    {"visitor_id": "12", "product_id": 3, "event_time": "2026-01-01T00:00:00Z", "score": 0.25}
                ]),
            )
            .await;
        fixture.put("product.text", json!([{
            "product_id": 1, "event_time": "2026-01-01T00:00:00Z", "title": "a \"b\"\n", "tags": ["x", null], "big": 9_007_199_254_740_993_i64,
            "exact": "12.50", "embedding": [0.5, 1.0]
        }])).await;
        fixture
    }

    /// Makes the group's table and puts rows into it.
    async fn put(&self, group: &str, rows: Value) {
        let group: GroupName = group.parse().unwrap();
        let schema = Arc::clone(&self.catalog.current().group(&group).unwrap().schema);
        self.stores.online.ensure(&schema).await.unwrap();
        self.stores
            .online
            .upsert(&schema, packed_rows(&schema, &rows, 0), None)
            .await
            .unwrap();
    }

    async fn post(&self, path: &str, body: impl Into<reqwest::Body>, accept: Option<&str>) -> reqwest::Response {
        let request = reqwest::Client::new()
            .post(self.server.url(path))
            .header("content-type", "application/json")
            .body(body);
        let request = accept
            .iter()
            .fold(request, |request, accept| request.header("accept", *accept));
        request.send().await.unwrap()
    }

    async fn ask(&self, body: Value) -> Value {
        let response = self.post("/v1/online-features", body.to_string(), None).await;
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The status, code and first pointer of a refusal.
    async fn answer(&self, body: String) -> Value {
        let response = self.post("/v1/online-features", body, None).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    async fn refused(&self, body: impl Into<reqwest::Body>) -> (u16, String, String) {
        let response = self.post("/v1/online-features", body, None).await;
        let status = response.status().as_u16();
        let problem: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (status, text(&problem["code"]), text(&problem["errors"][0]["pointer"]))
    }
}

#[tokio::test]
async fn values_come_column_by_column_with_statuses_and_times() {
    let fixture = Fixture::start().await;
    let answer = fixture.ask(json!({"features": ["product.value.sale_price", "product.value.rooms"], "entities": {"product_id": [1, "2", 3, 4, 5, 6, null]}})).await;
    assert_eq!(
        answer["metadata"],
        json!({
            "feature_names": ["product_id", "product.value.sale_price", "product.value.rooms"], "types": ["int64", "float64", "int64"], "view_revision": null
        })
    );
    let times = json!([
        "2026-01-09T03:04:05.000006Z",
        "2026-01-08T00:00:00Z",
        "2026-01-05T00:00:00Z",
        "2026-01-04T23:59:59.999999Z",
        null,
        null,
        null
    ]);
    assert_eq!(
        answer["results"],
        json!([
            {"values": [1, 2, 3, 4, 5, 6, null], "statuses": ["PRESENT", "PRESENT", "PRESENT", "PRESENT", "PRESENT", "PRESENT", "NULL_VALUE"],
             "event_timestamps": [null, null, null, null, null, null, null]},
            {"values": [450_000.0, null, 1.0, null, null, null, null],
             "statuses": ["PRESENT", "NULL_VALUE", "PRESENT", "OUTSIDE_MAX_AGE", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND"], "event_timestamps": times},
            {"values": [3, 0, 1, null, null, null, null],
             "statuses": ["PRESENT", "PRESENT", "PRESENT", "OUTSIDE_MAX_AGE", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND"], "event_timestamps": times}
        ])
    );
}

#[tokio::test]
async fn an_answer_for_many_is_the_answers_for_each() {
    let fixture = Fixture::start().await;
    let rows = (1000..1300).filter(|id| id % 7 != 0).map(|id| {
        let sale_price = if id % 5 == 0 { Value::Null } else { json!(f64::from(id) / 8.0 - 140.0) };
        json!({"product_id": id, "event_time": format!("2026-01-{:02}T00:00:00Z", 3 + id % 7), "sale_price": sale_price, "rooms": id})
    });
    fixture.put("product.value", rows.collect()).await;
    // The list first, so that it is recognised from the second request on.
    let asked = |ids: &[i32], more: &str| {
        let names = r#"["product.value.sale_price", "product.value.rooms", "product.text.title"]"#;
        format!(r#"{{"features": {names}, "entities": {{"product_id": {ids:?}}}{more}}}"#)
    };
    let ids: Vec<i32> = (1000..1300).collect();
    for more in [
        "",
        r#", "include": ["values"]"#,
        r#", "include": ["statuses", "event_timestamps"], "max_age": "4d""#,
    ] {
        let all = fixture.answer(asked(&ids, more)).await;
        for (place, id) in ids.iter().enumerate().step_by(3) {
            let one = fixture.answer(asked(&[*id], more)).await;
            assert_eq!(one["metadata"], all["metadata"]);
            for (one, all) in one["results"]
                .as_array()
                .unwrap()
                .iter()
                .zip(all["results"].as_array().unwrap())
            {
                assert_eq!(one.as_object().unwrap().len(), all.as_object().unwrap().len());
                for (part, values) in one.as_object().unwrap() {
                    assert_eq!(values[0], all[part][place], "{part} of {id}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_list_that_is_recognised_changes_no_answer() {
    let fixture = Fixture::start().await;
    let features = r#"{"features": ["product.value.sale_price"]"#;
    let good = format!(r#"{features}, "entities": {{"product_id": [1, 2]}}}}"#);
    let first = fixture.answer(good.clone()).await;
    for tail in [
        r#", "entities": {"product_id": ["x"]}}"#,
        r#", "features": ["product.value.rooms"], "entities": {"product_id": [1]}}"#,
        r#", "view": "fair_price", "entities": {"product_id": [1]}}"#,
        r#", "revision": 1, "entities": {"product_id": [1]}}"#,
        r#", "entities": {"product_id": [1]}, "unknown": 1}"#,
        r#", "entities": {"product_id": [1]}} x"#,
        ", }",
        "}",
        "",
    ] {
        // Spelled otherwise, the list is not recognised.
        let anew = fixture
            .refused(format!(r#"{{ "features": ["product.value.sale_price"]{tail}"#))
            .await;
        let known = fixture.refused(format!("{features}{tail}")).await;
        assert_eq!((known.0, known.1), (anew.0, anew.1), "{tail}");
        assert_eq!(fixture.answer(good.clone()).await, first);
    }
}

#[tokio::test]
async fn a_request_may_shorten_the_ttl() {
    let fixture = Fixture::start().await;
    let answer = fixture.ask(json!({"features": ["product.value.rooms"], "entities": {"product_id": [1, 2]}, "max_age": "1d", "include": ["statuses"]})).await;
    assert_eq!(
        answer["results"][1],
        json!({"statuses": ["PRESENT", "OUTSIDE_MAX_AGE"]})
    );
}

#[tokio::test]
async fn every_type_is_written_as_the_contract_says() {
    let fixture = Fixture::start().await;
    let features = ["title", "tags", "big", "exact", "embedding"].map(|name| format!("product.text.{name}"));
    let answer = fixture
        .ask(json!({"features": features, "entities": {"product_id": [1]}, "include": ["values"], "int64": "string"}))
        .await;
    let values: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["values"][0].clone())
        .collect();
    assert_eq!(
        json!(values),
        json!(["1", "a \"b\"\n", ["x", null], "9007199254740993", "12.50", [0.5, 1.0]])
    );
}

#[tokio::test]
async fn groups_with_several_and_composite_keys_are_read_together() {
    let fixture = Fixture::start().await;
    let answer = fixture
        .ask(json!({
            "features": ["visitor.affinity.score", "visitor.profile.city"],
            "entities": {"visitor_id": ["1", "12", "1", "v1"], "product_id": [23, 3, 3, 23]}, "include": ["values"]
        }))
        .await;
    assert_eq!(
        answer["metadata"]["feature_names"],
        json!([
            "visitor_id",
            "product_id",
            "visitor.affinity.score",
            "visitor.profile.city"
        ])
    );
    assert_eq!(answer["results"][2]["values"], json!([0.5, 0.25, null, null]));
    assert_eq!(answer["results"][3]["values"], json!([null, null, null, "Recife"]));
}

#[tokio::test]
async fn a_view_names_maps_and_computes() {
    let fixture = Fixture::start().await;
    let answer = fixture.ask(json!({
        "view": "fair_price", "revision": 1, "entities": {"product_id": [1, 2, 6], "buyer_id": ["v1"]}, "request": {"asked_price": [900_000.0, null, 7]}
    })).await;
    assert_eq!(answer["metadata"]["view_revision"], json!(1));
    let names = [
        "product_id",
        "buyer_id",
        "price",
        "buyer_city",
        "product.value.rooms",
        "asked_price",
        "asked_ratio",
        "per_room",
    ];
    assert_eq!(answer["metadata"]["feature_names"], json!(names));
    let column = |index: usize, part: &str| answer["results"][index][part].clone();
    assert_eq!(column(1, "values"), json!(["v1", "v1", "v1"]));
    assert_eq!(column(3, "values"), json!(["Recife", "Recife", "Recife"]));
    assert_eq!(column(5, "statuses"), json!(["PRESENT", "NULL_VALUE", "PRESENT"]));
    assert_eq!(column(6, "values"), json!([2.0, null, null]));
    assert_eq!(column(6, "event_timestamps"), json!([null, null, null]));
    // Rooms are 0 for the second: a division without a value is null, and the other rows have theirs.
    assert_eq!(column(7, "values"), json!([150_000, null, null]));
    assert_eq!(column(7, "statuses"), json!(["PRESENT", "NULL_VALUE", "NULL_VALUE"]));
}

#[tokio::test]
async fn arrow_and_message_pack_say_the_same() {
    let fixture = Fixture::start().await;
    let body = json!({"features": ["product.value.sale_price"], "entities": {"product_id": [1, 9, null]}});
    let response = fixture
        .post(
            "/v1/online-features",
            body.to_string(),
            Some("application/vnd.apache.arrow.stream"),
        )
        .await;
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.apache.arrow.stream"
    );
    let bytes = response.bytes().await.unwrap();
    let batches: Vec<RecordBatch> = StreamReader::try_new(&bytes[..], None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let [batch] = &batches[..] else { panic!("one batch") };
    let keys: Vec<_> = batch["product_id"].as_primitive::<Int64Type>().iter().collect();
    assert_eq!(keys, [Some(1), Some(9), None]);
    let prices: Vec<_> = batch["product.value.sale_price"]
        .as_primitive::<Float64Type>()
        .iter()
        .collect();
    assert_eq!(prices, [Some(450_000.0), None, None]);
    let statuses: Vec<_> = batch["product.value.sale_price__status"]
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    assert_eq!(statuses, ["PRESENT", "NOT_FOUND", "NOT_FOUND"]);
    assert!(
        batch
            .column_by_name("product.value.sale_price__event_timestamp")
            .is_some()
    );

    let response = fixture
        .post("/v1/online-features", body.to_string(), Some("application/vnd.msgpack"))
        .await;
    let packed: Value = rmp_serde::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(packed, fixture.ask(body.clone()).await);
    assert_eq!(
        fixture
            .post("/v1/online-features", body.to_string(), Some("image/png"))
            .await
            .status(),
        406
    );
}

#[tokio::test]
async fn a_group_that_cannot_be_read_is_an_error_and_never_anything_else() {
    let fixture = Fixture::start().await;
    // The table of another process's newer schema: rows that this catalog cannot read yet.
    let schema = Arc::clone(
        &fixture
            .catalog
            .current()
            .group(&"visitor.profile".parse().unwrap())
            .unwrap()
            .schema,
    );
    let mut newer = (*schema).clone();
    newer.layout.0 += 1;
    let newer = Arc::new(newer);
    fixture.stores.online.ensure(&newer).await.unwrap();
    let rows = json!([{"visitor_id": "v1", "event_time": "2026-01-02T00:00:00Z", "city": "Olinda"}]);
    fixture
        .stores
        .online
        .upsert(&newer, packed_rows(&newer, &rows, 9), None)
        .await
        .unwrap();

    let mut body = json!({"view": "fair_price", "entities": {"product_id": [1], "buyer_id": ["v1"]}, "request": {"asked_price": [1]}});
    let answer = fixture.ask(body.clone()).await;
    assert_eq!(answer["results"][2]["statuses"], json!(["PRESENT"]));
    assert_eq!(
        answer["results"][3],
        json!({"values": [null], "statuses": ["ERROR"], "event_timestamps": [null]})
    );
    body["strict"] = json!(true);
    assert_eq!(fixture.refused(body.to_string()).await.0, 503);
    let only = json!({"features": ["visitor.profile.city"], "entities": {"visitor_id": ["v1"]}});
    assert_eq!(fixture.refused(only.to_string()).await.0, 503);
}

#[tokio::test]
async fn wrong_requests_are_refused_by_field() {
    let fixture = Fixture::with(Limits {
        features: 2,
        entities: 3,
        values: 4,
        ..Limits::default()
    })
    .await;
    let price = "product.value.sale_price";
    for (body, status, code, pointer) in [
        (
            json!({"features": ["product.value.sale_prize"], "entities": {"product_id": [1]}}),
            422,
            "unknown_feature",
            "/features/0",
        ),
        (
            json!({"features": [price, "nonsense"], "entities": {"product_id": [1]}}),
            422,
            "unknown_feature",
            "/features/1",
        ),
        (
            json!({"features": [], "entities": {}}),
            422,
            "invalid_value",
            "/features",
        ),
        (json!({"features": [7], "entities": {}}), 422, "wrong_type", "/features"),
        (json!({"entities": {}}), 422, "missing_field", "/features"),
        (
            json!({"features": [price], "view": "fair_price", "entities": {}}),
            422,
            "invalid_combination",
            "/view",
        ),
        (
            json!({"features": [price], "revision": 1, "entities": {}}),
            422,
            "invalid_combination",
            "/revision",
        ),
        (
            json!({"view": "fair_prize", "entities": {}}),
            422,
            "unknown_view",
            "/view",
        ),
        (
            json!({"view": "fair_price", "revision": 7, "entities": {}}),
            422,
            "unknown_view",
            "/revision",
        ),
        (
            json!({"features": ["product.past.x"], "entities": {"product_id": [1]}}),
            422,
            "not_online",
            "/features/0",
        ),
        (
            json!({"features": [price], "entities": {}}),
            422,
            "missing_field",
            "/entities/product_id",
        ),
        (
            json!({"features": [price], "entities": {"product_id": [1], "visitor_id": [1]}}),
            422,
            "unknown_entity",
            "/entities/visitor_id",
        ),
        (
            json!({"features": [price], "entities": {"product_id": [1, "x"]}}),
            422,
            "wrong_type",
            "/entities/product_id/1",
        ),
        (
            json!({"features": [price], "entities": {"product_id": 1}}),
            422,
            "wrong_type",
            "/entities/product_id",
        ),
        (
            json!({"features": [price], "entities": {"product_id": [1]}, "request": {"x": [1]}}),
            422,
            "unknown_field",
            "/request/x",
        ),
        (
            json!({"features": [price], "entities": {"product_id": [1]}, "max_age": "1 hour"}),
            422,
            "invalid_value",
            "/max_age",
        ),
        (
            json!({"features": [price], "entities": {"product_id": [1]}, "surprise": 1}),
            422,
            "unknown_field",
            "/surprise",
        ),
        (
            json!({"features": ["visitor.affinity.score"], "entities": {"product_id": [1, 2], "visitor_id": ["a", "b", "c"]}}),
            422,
            "invalid_combination",
            "/entities",
        ),
        (
            json!({"features": [price, price, price], "entities": {"product_id": [1]}}),
            422,
            "over_limit",
            "/features",
        ),
        (
            json!({"features": [price], "entities": {"product_id": [1, 2, 3, 4]}}),
            422,
            "over_limit",
            "/entities",
        ),
        (
            json!({"features": [price, price], "entities": {"product_id": [1, 2, 3]}}),
            422,
            "over_limit",
            "/entities",
        ),
    ] {
        assert_eq!(
            fixture.refused(body.to_string()).await,
            (status, code.into(), pointer.into()),
            "{body}"
        );
    }
    assert_eq!(fixture.refused("{").await.0, 400);
    assert_eq!(
        fixture
            .refused(r#"{"features": [], "entities": {"k": [1], "k": [2]}}"#)
            .await
            .1,
        "duplicate_key"
    );
    assert_eq!(
        fixture
            .refused(b"{\"features\": [\"\xff\"], \"entities\": {}}".to_vec())
            .await
            .1,
        "invalid_utf8"
    );
    assert_eq!(fixture.refused("[".repeat(10_000)).await.0, 400);
    let huge = json!({"features": [price], "entities": {"product_id": ["99999999999999999999"]}});
    assert_eq!(
        fixture.refused(huge.to_string()).await,
        (422, "invalid_value".into(), "/entities/product_id/0".into())
    );
}

#[tokio::test]
async fn feast_clients_are_answered_in_their_form() {
    let fixture = Fixture::start().await;
    for name in [
        "product.value:sale_price",
        "product__value:sale_price",
        "product.value__sale_price",
        "product__value__sale_price",
    ] {
        let body = json!({"features": [name], "entities": {"product_id": [1, 9]}, "full_feature_names": true});
        let response = fixture.post("/get-online-features", body.to_string(), None).await;
        let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(
            answer,
            json!({
                "metadata": {"feature_names": ["product_id", "product.value__sale_price"]},
                "results": [
                    {"values": [1, 9], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"]},
                    {"values": [450_000.0, null], "statuses": ["PRESENT", "NOT_FOUND"], "event_timestamps": ["2026-01-09T03:04:05.000006Z", "1970-01-01T00:00:00Z"]}
                ]
            })
        );
    }
    let body = json!({"feature_service": "fair_price", "features": [], "entities": {"product_id": [1], "buyer_id": ["v1"], "asked_price": [450_000.0]}});
    let response = fixture.post("/get-online-features", body.to_string(), None).await;
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let names = [
        "product_id",
        "buyer_id",
        "price",
        "buyer_city",
        "rooms",
        "asked_price",
        "asked_ratio",
        "per_room",
    ];
    assert_eq!(answer["metadata"]["feature_names"], json!(names));
    assert_eq!(answer["results"][6]["values"], json!([1.0]));
}

#[test]
fn openapi_is_up_to_date() {
    forebay_server::assert_checked_in("online-serving", &crate::openapi());
}
