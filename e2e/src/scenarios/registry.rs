//! Definitions: planned, applied at once or not at all, read back, found, and kept from breaking their readers.

use forebay_api::Code;
use serde_json::json;

use crate::stage::Stage;

const BUNDLE: &str = "
kind: Domain
name: DOMAIN
description: Things
owners: [team_a]
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
  - {name: price, type: float64, description: What it costs, owners: [team_b], tags: {pii: \"no\"}}
  - {name: area, type: float64}
  - {name: colour, type: string}
---
kind: FeatureGroup
name: DOMAIN.ratio
entities: [DOMAIN_item]
features: [{name: per_area, type: float64}]
batch: {sql: 'WITH f AS (SELECT * FROM DOMAIN.facts WHERE area > 0) SELECT item_id, event_time, price / area AS per_area FROM f'}
---
kind: FeatureGroup
name: DOMAIN.rank
entities: [DOMAIN_item]
features: [{name: dear, type: bool}]
batch: {sql: 'SELECT r.item_id, r.event_time, r.per_area > 10 AS dear FROM DOMAIN.ratio r'}
---
kind: FeatureView
name: DOMAIN_model
domain: DOMAIN
features: [DOMAIN.rank.dear, {feature: DOMAIN.facts.price, as: price}]
request: [{name: offer, type: float64}]
expressions: [{name: offer_ratio, type: float64, sql: offer / price}]
";

pub async fn plays(stage: &Stage) {
    plan_then_apply(stage).await;
    read_and_find(stage).await;
    the_graph(stage).await;
    breaking_changes_are_refused(stage).await;
    revisions_are_kept(stage).await;
    nothing_is_half_applied(stage).await;
    prune_and_delete(stage).await;
}

fn yaml(stage: &Stage, text: &str) -> String {
    text.replace("DOMAIN", &stage.domain)
}

async fn plan_then_apply(stage: &Stage) {
    let bundle = yaml(stage, BUNDLE);
    let plan = stage.http.post_yaml("/v1/plan", &[], &bundle).await.expect(200);
    assert_eq!(plan["changes"].as_array().map(Vec::len), Some(6), "{plan}");
    stage
        .http
        .get(&format!("/v1/groups/{}", stage.group("facts")))
        .await
        .problem(Code::NotFound);

    let revision = format!("\"{}\"", plan["registry_revision"]);
    let applied = stage
        .http
        .post_yaml("/v1/apply", &[("if-match", &revision)], &bundle)
        .await
        .expect(200);
    let change = applied["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .find(|change| change["name"] == stage.group("ratio").as_str())
        .expect("the group");
    assert_eq!(
        *change,
        json!({"kind": "FeatureGroup", "name": stage.group("ratio"), "action": "create", "revision": 1})
    );
    let recompute = applied["recompute"].as_array().expect("recompute");
    assert!(
        recompute.contains(&json!(stage.group("ratio"))) && recompute.contains(&json!(stage.group("rank"))),
        "{applied}"
    );

    // The plan's revision has passed; the same bundle changes nothing more.
    stage
        .http
        .post_yaml("/v1/apply", &[("if-match", &revision)], &bundle)
        .await
        .problem(Code::StaleRevision);
    let again = stage.http.post_yaml("/v1/apply", &[], &bundle).await.expect(200);
    assert!(
        again["changes"]
            .as_array()
            .expect("changes")
            .iter()
            .all(|change| change["action"] == "none"),
        "{again}"
    );
}

async fn read_and_find(stage: &Stage) {
    let path = format!("/v1/groups/{}", stage.group("facts"));
    let answer = stage.http.get(&path).await;
    assert_eq!(answer.header("etag"), "\"1\"");
    let group = answer.expect(200);
    assert_eq!(group["name"], stage.group("facts").as_str());
    assert_eq!(group["revision"], 1);
    let cached = stage
        .http
        .send("GET", &path, &[("if-none-match", "\"1\"")], Vec::new())
        .await;
    assert_eq!(cached.status, 304);
    for path in [
        "domains/DOMAIN",
        "entities/DOMAIN_item",
        "views/DOMAIN_model",
        "features/DOMAIN.facts.price",
    ] {
        let object = stage.http.get(&format!("/v1/{}", yaml(stage, path))).await.expect(200);
        assert!(object.to_string().contains(&stage.domain), "{object}");
    }

    // Three groups in pages of two.
    let first = stage
        .http
        .get(&format!("/v1/groups?domain={}&page_size=2", stage.domain))
        .await
        .expect(200);
    assert_eq!(first["items"].as_array().map(Vec::len), Some(2), "{first}");
    let token = first["next_page_token"].as_str().expect("more pages");
    let second = stage
        .http
        .get(&format!(
            "/v1/groups?domain={}&page_size=2&page_token={token}",
            stage.domain
        ))
        .await
        .expect(200);
    assert_eq!(second["items"].as_array().map(Vec::len), Some(1), "{second}");
    assert!(second["next_page_token"].is_null(), "{second}");

    let names = async |query: &str| {
        let found = stage
            .http
            .get(&format!("/v1/search?domain={}&{query}", stage.domain))
            .await
            .expect(200);
        found["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| item["name"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(names("q=costs").await.contains(&stage.group("facts.price")));
    assert_eq!(names("tag=pii:no&kind=Feature").await, [stage.group("facts.price")]);
    assert_eq!(names("owner=team_b").await, [stage.group("facts.price")]);
    let info = stage.http.get("/v1/info").await.expect(200);
    assert!(info["version"].is_string() && info["limits"].is_object(), "{info}");
}

async fn the_graph(stage: &Stage) {
    let graph = stage
        .http
        .get(&format!(
            "/v1/graph?around={}&direction=upstream&format=json",
            stage.group("rank.dear")
        ))
        .await
        .expect(200);
    let text = graph.to_string();
    for upstream in ["ratio.per_area", "facts.price", "facts.area"] {
        assert!(text.contains(&stage.group(upstream)), "{graph}");
    }
    assert!(
        !text.contains(&stage.group("facts.colour")),
        "what is not read is not upstream: {graph}"
    );
    for (format, mark) in [("dot", "digraph"), ("mermaid", "graph")] {
        let answer = stage
            .http
            .get(&format!(
                "/v1/graph?around={}&format={format}",
                stage.group("ratio.per_area")
            ))
            .await;
        assert_eq!(answer.status, 200);
        assert!(
            answer.text().contains(mark) || answer.text().contains("flowchart"),
            "{}",
            answer.text()
        );
    }
}

async fn breaking_changes_are_refused(stage: &Stage) {
    let without_price = yaml(stage, BUNDLE).replace(
        "  - {name: price, type: float64, description: What it costs, owners: [team_b], tags: {pii: \"no\"}}\n",
        "",
    );
    let facts = document(&without_price, "facts");
    let plan = stage.http.post_yaml("/v1/plan", &[], &facts).await.expect(200);
    assert!(!plan["breaks"].as_array().expect("breaks").is_empty(), "{plan}");
    let problem = stage
        .http
        .post_yaml("/v1/apply", &[], &facts)
        .await
        .problem(Code::BreakingChange);
    let breaks = problem["breaks"].as_array().expect("breaks");
    let removed = |reader: &str| json!({"object": stage.group("facts.price"), "reader": reader, "why": "removed"});
    assert!(breaks.contains(&removed(&stage.group("ratio.per_area"))), "{problem}");
    assert!(
        breaks.contains(&removed(&format!("{}_model", stage.domain))),
        "{problem}"
    );

    // Nobody reads the colour: it may go, and come back.
    let without_colour = yaml(stage, BUNDLE).replace("  - {name: colour, type: string}\n", "");
    let applied = stage
        .http
        .post_yaml("/v1/apply", &[], &document(&without_colour, "facts"))
        .await
        .expect(200);
    assert_eq!(applied["breaks"], json!([]));
    stage
        .http
        .get(&format!("/v1/features/{}", stage.group("facts.colour")))
        .await
        .problem(Code::NotFound);
    stage
        .http
        .post_yaml("/v1/apply", &[], &document(&yaml(stage, BUNDLE), "facts"))
        .await
        .expect(200);

    let retyped = yaml(stage, BUNDLE).replace("colour, type: string", "colour, type: int64");
    stage
        .http
        .post_yaml("/v1/apply", &[], &document(&retyped, "facts"))
        .await
        .problem(Code::NeedsNewGeneration);
}

async fn revisions_are_kept(stage: &Stage) {
    let model = document(&yaml(stage, BUNDLE), "_model").replace("offer / price", "offer / price * 100");
    let applied = stage.http.post_yaml("/v1/apply", &[], &model).await.expect(200);
    assert_eq!(applied["changes"][0]["revision"], 2, "{applied}");
    let view = async |query: &str| {
        stage
            .http
            .get(&format!("/v1/views/{}_model{query}", stage.domain))
            .await
            .expect(200)
    };
    assert!(view("").await.to_string().contains("* 100"));
    assert!(!view("?revision=1").await.to_string().contains("* 100"));
    stage
        .http
        .get(&format!("/v1/views/{}_model?revision=9", stage.domain))
        .await
        .problem(Code::NotFound);
}

async fn nothing_is_half_applied(stage: &Stage) {
    let before = stage.http.get("/v1/info").await.expect(200);
    let two = yaml(
        stage,
        "kind: Entity\nname: DOMAIN_other\ndomain: DOMAIN\nkeys: [{name: other_id, type: string}]\n---\nkind: FeatureGroup\nname: DOMAIN.broken\nentities: [DOMAIN_other]\nfeatures: [{name: x, type: int64}]\nbatch: {sql: 'SELECT other_id, event_time, y AS x FROM DOMAIN.nowhere'}\n",
    );
    let problem = stage.http.post_yaml("/v1/apply", &[], &two).await.json();
    assert!(
        problem["errors"][0]["pointer"]
            .as_str()
            .is_some_and(|pointer| pointer.contains("sql")),
        "{problem}"
    );
    stage
        .http
        .get(&format!("/v1/entities/{}_other", stage.domain))
        .await
        .problem(Code::NotFound);
    let after = stage.http.get("/v1/info").await.expect(200);
    assert_eq!(before["registry_revision"], after["registry_revision"]);
}

async fn prune_and_delete(stage: &Stage) {
    // The bundle without the rank and its view: pruned away, and only from the domain that the bundle names.
    let kept: Vec<_> = yaml(stage, BUNDLE)
        .split("---")
        .filter(|text| !text.contains(".rank\n") && !text.contains("_model"))
        .map(str::to_owned)
        .collect();
    let applied = stage
        .http
        .post_yaml("/v1/apply?prune=true", &[], &kept.join("---"))
        .await
        .expect(200);
    let deleted: Vec<_> = applied["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter(|change| change["action"] == "delete")
        .collect();
    assert_eq!(deleted.len(), 2, "{applied}");
    stage
        .http
        .get(&format!("/v1/groups/{}", stage.group("rank")))
        .await
        .problem(Code::NotFound);

    let path = format!("/v1/groups/{}", stage.group("ratio"));
    let etag = stage.http.get(&path).await.header("etag").to_owned();
    stage
        .http
        .send("DELETE", &path, &[("if-match", "\"77\"")], Vec::new())
        .await
        .problem(Code::StaleRevision);
    let answer = stage
        .http
        .send("DELETE", &path, &[("if-match", &etag)], Vec::new())
        .await;
    assert!((200..300).contains(&answer.status), "{}", answer.text());
    stage.http.get(&path).await.problem(Code::NotFound);
}

/// The one document of a bundle in which this name ends a line.
fn document(bundle: &str, name: &str) -> String {
    let found = bundle.split("---").find(|text| {
        text.lines()
            .any(|line| line.starts_with("name: ") && line.ends_with(name))
    });
    found.expect("the document").to_owned()
}
