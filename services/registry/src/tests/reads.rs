//! Lists, objects, the graph, search and the log of changes.

use serde_json::json;

use super::{HOUSE, names};
use crate::testing::{CONTRACT, Running, answer, body};

#[tokio::test]
async fn every_answer_reads_back_as_its_definition() {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    let mut objects = Vec::new();
    for path in ["domains", "entities", "sources", "groups", "views"] {
        let page = running.read(&format!("/v1/{path}")).await;
        for mut object in page["items"].as_array().expect("items").clone() {
            let fields = object.as_object_mut().expect("an object");
            for given in ["revision", "keys", "way_in", "reads", "level", "ready"] {
                if given != "keys" || fields["kind"] == "FeatureGroup" {
                    fields.remove(given);
                }
            }
            objects.push(object);
        }
    }
    let request = running
        .client
        .post(running.server.url("/v1/plan"))
        .json(&json!({"objects": objects}));
    let plan = answer(request, 200).await;
    assert!(
        plan["changes"]
            .as_array()
            .expect("changes")
            .iter()
            .all(|change| change["action"] == "none"),
        "{plan:#}"
    );
}

#[tokio::test]
async fn lists_have_pages() {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    let first = running.read("/v1/groups?page_size=2").await;
    assert_eq!(names(&first), ["product.heat", "product.interest"]);
    let token = first["next_page_token"].as_str().expect("a token");
    let second = running
        .read(&format!("/v1/groups?page_size=2&page_token={token}"))
        .await;
    assert_eq!(names(&second), ["product.value", "product.yield"]);
    let last = running.read("/v1/groups?domain=visitor").await;
    assert_eq!(
        (names(&last), last.get("next_page_token")),
        (vec!["visitor.profile"], None)
    );
    assert_eq!(
        names(&running.read("/v1/features?page_size=1").await),
        ["product.heat.price_per_view"]
    );
    for (path, code) in [
        ("/v1/groups?page_size=0", "invalid_parameter"),
        ("/v1/groups?page_token=x", "invalid_page_token"),
        ("/v1/groups?colour=red", "unknown_parameter"),
        ("/v1/groups?domain=A", "invalid_parameter"),
        ("/v1/groups/product.value?revision=x", "invalid_parameter"),
    ] {
        assert_eq!(answer(running.get(path), 422).await["code"], code, "{path}");
    }
}

#[tokio::test]
async fn old_revisions_are_kept_and_told_apart_by_etag() {
    let running = Running::start().await;
    running.applied(HOUSE).await;
    let view = "kind: FeatureView\nname: v\ndomain: d\nfeatures: [d.sum.total, d.raw.b]\n";
    let changed = running.applied(view).await;
    assert_eq!(
        changed["changes"],
        json!([{"kind": "FeatureView", "name": "v", "action": "update", "revision": 2}])
    );

    let response = running.get("/v1/views/v").send().await.expect("an answer");
    assert_eq!(response.headers()["etag"], "\"2\"");
    let old = running.read("/v1/views/v?revision=1").await;
    assert_eq!(old["features"], json!([{"feature": "d.sum.total"}]));
    let same = running
        .get("/v1/views/v")
        .header("if-none-match", "\"2\"")
        .send()
        .await
        .expect("an answer");
    assert_eq!(same.status(), 304);
    assert_eq!(
        answer(running.get("/v1/views/v?revision=9"), 404).await["code"],
        "not_found"
    );
    let missing = answer(running.get("/v1/views/w"), 404).await;
    assert_eq!(
        (&missing["code"], missing["status"].as_u64()),
        (&json!("not_found"), Some(404))
    );
    let missing = answer(running.get("/v1/features/d.sum.totals"), 404).await;
    assert_eq!(
        missing["detail"],
        "no feature is called `d.sum.totals`; did you mean `d.sum.total`?"
    );
    assert_eq!(running.read("/v1/features/d.raw.a?revision=1").await["revision"], 1);
}

#[tokio::test]
async fn the_graph_is_shown_whole_and_around_a_node() {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    let graph = running.read("/v1/graph").await;
    assert_eq!(
        graph["levels"],
        json!([
            ["product.interest", "product.value", "visitor.profile"],
            ["product.heat", "product.yield"]
        ])
    );
    let edge = json!({"from": "listings", "to": "product.value.sale_price", "kind": "value", "column": "sale_price"});
    assert!(graph["edges"].as_array().expect("edges").contains(&edge));
    let edge = json!({"from": "clicks", "to": "product.interest.views_10m", "kind": "influence", "column": "action"});
    assert!(graph["edges"].as_array().expect("edges").contains(&edge));

    let upstream = running
        .read("/v1/graph?around=product.yield.gross_yield&direction=upstream")
        .await;
    let ids: Vec<&str> = upstream["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|n| n["id"].as_str().expect("an id"))
        .collect();
    for there in ["product.value.rent_price", "product.value.sale_price", "listings"] {
        assert!(ids.contains(&there), "{ids:?}");
    }
    for absent in ["product.value.condominium_fee", "view:fair_price", "product.heat"] {
        assert!(!ids.contains(&absent), "{ids:?}");
    }
    let downstream = running
        .read("/v1/graph?around=product.value.sale_price&direction=downstream")
        .await;
    let ids: Vec<&str> = downstream["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|n| n["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(
        ids,
        [
            "product.heat.price_per_view",
            "product.value.sale_price",
            "product.yield.gross_yield",
            "view:fair_price"
        ]
    );

    let mermaid = running.get("/v1/graph?around=product.yield.gross_yield&direction=upstream&format=mermaid");
    let text = body(mermaid.send().await.expect("an answer"), 200).await;
    assert!(
        text.as_str().is_some_and(|text| text.starts_with("flowchart LR\n")),
        "{text}"
    );
    let dot = body(
        running.get("/v1/graph?format=dot").send().await.expect("an answer"),
        200,
    )
    .await;
    assert!(
        dot.as_str().is_some_and(|text| text.starts_with("digraph forebay {")),
        "{dot}"
    );
    answer(running.get("/v1/graph?around=nothing.like.this"), 404).await;
    assert_eq!(
        answer(running.get("/v1/graph?format=png"), 422).await["code"],
        "invalid_parameter"
    );
    assert_eq!(
        answer(running.get("/v1/graph?direction=upstream"), 422).await["code"],
        "invalid_combination"
    );
}

#[tokio::test]
async fn search_finds_by_words_owner_and_tag() {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    assert_eq!(
        names(&running.read("/v1/search?q=sale_price").await),
        ["product.value.sale_price"]
    );
    assert_eq!(
        names(&running.read("/v1/search?q=PRICE&kind=Feature").await)[0],
        "product.heat.price_per_view"
    );
    assert_eq!(
        names(&running.read("/v1/search?q=monthly%20building").await),
        ["product.value.condominium_fee"]
    );
    let owned = running
        .read("/v1/search?owner=pricing&kind=FeatureGroup&page_size=3")
        .await;
    assert_eq!(names(&owned), ["product.heat", "product.interest", "product.value"]);
    let token = owned["next_page_token"].as_str().expect("a token");
    let rest = running
        .read(&format!(
            "/v1/search?owner=pricing&kind=FeatureGroup&page_size=3&page_token={token}"
        ))
        .await;
    assert_eq!(names(&rest), ["product.yield"]);
    running.applied("kind: Entity\nname: visitor\ndomain: visitor\ntags: {pii: 'yes'}\nkeys: [{name: visitor_id, type: string}]").await;
    assert_eq!(names(&running.read("/v1/search?tag=pii:yes").await), ["visitor"]);
    assert_eq!(
        answer(running.get("/v1/search?kind=Thing"), 422).await["code"],
        "invalid_parameter"
    );
    assert_eq!(
        answer(running.get("/v1/search?tag=pii"), 422).await["code"],
        "invalid_parameter"
    );
}

#[tokio::test]
async fn changes_and_info_tell_what_happened() {
    let running = Running::start().await;
    running.applied(HOUSE).await;
    running.applied("kind: Domain\nname: d\nowners: [us]").await;
    answer(running.delete("/v1/views/v"), 200).await;
    let changes = running.read("/v1/changes?after=1").await;
    let items = changes["items"].as_array().expect("items");
    assert_eq!(
        items[0]["changes"],
        json!([{"kind": "Domain", "name": "d", "action": "update", "revision": 2}])
    );
    assert_eq!(
        items[1]["changes"],
        json!([{"kind": "FeatureView", "name": "v", "action": "delete", "revision": 2}])
    );
    assert_eq!(items[0]["published_at"], "2026-01-02T03:04:05Z");
    let first = running.read("/v1/changes?page_size=1").await;
    assert_eq!(first["items"][0]["changes"].as_array().expect("changes").len(), 5);
    let token = first["next_page_token"].as_str().expect("a token");
    let next = running
        .read(&format!("/v1/changes?page_size=2&page_token={token}"))
        .await;
    assert_eq!(
        (next["items"].as_array().map(Vec::len), next.get("next_page_token")),
        (Some(2), None)
    );
    let info = running.read("/v1/info").await;
    assert_eq!(
        (&info["environment"], &info["registry_revision"]),
        (&json!("test"), &json!(3))
    );
    assert_eq!(info["limits"]["rows_per_request"], 10_000);
    assert_eq!(info["limits"]["encoded_key_bytes"], 1024);
}
