//! The registry over HTTP.

use forebay_api::definitions as api;
use serde_json::{Value, json};

use crate::testing::{CONTRACT, EXAMPLE, Failure, Running, answer, body};

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

#[tokio::test]
async fn the_contracts_example_applies_and_reads_back() {
    let running = Running::start().await;
    let plan = answer(running.post_yaml("/v1/plan", CONTRACT), 200).await;
    assert_eq!(plan["registry_revision"], 0);
    let applied = running.applied(CONTRACT).await;
    assert_eq!(applied["registry_revision"], 1);
    assert_eq!(applied["changes"], plan["changes"]);
    assert_eq!(
        applied["recompute"],
        json!(["product.value", "product.heat", "product.yield"])
    );
    assert_eq!(applied.get("pending"), None, "every group is ready");
    assert_eq!(applied["warnings"][0]["object"], "product.interest");
    assert_eq!(applied["warnings"].as_array().map(Vec::len), Some(1));
    assert!(
        applied["changes"]
            .as_array()
            .expect("changes")
            .iter()
            .all(|c| c["action"] == "create" && c["revision"] == 1)
    );

    let again = running.applied(CONTRACT).await;
    assert_eq!(again["registry_revision"], 1);
    assert!(
        again["changes"]
            .as_array()
            .expect("changes")
            .iter()
            .all(|change| change["action"] == "none")
    );

    let group: api::FeatureGroup =
        serde_json::from_value(running.read("/v1/groups/product.heat").await).expect("a group");
    assert_eq!(
        (group.level, group.ready, &*group.way_in),
        (Some(1), Some(true), "batch")
    );
    assert_eq!(group.reads, ["product.interest", "product.value"]);
    let feature: api::Feature =
        serde_json::from_value(running.read("/v1/features/product.heat.price_per_view").await).expect("a feature");
    let upstream: Vec<_> = feature
        .upstream
        .iter()
        .map(|d| (d.id.as_str(), d.kind.as_str()))
        .collect();
    assert_eq!(
        upstream,
        [
            ("product.interest.views_10m", "value"),
            ("product.value.sale_price", "value")
        ]
    );
    assert_eq!(feature.owners, ["pricing"]);
    let _: api::FeatureView = serde_json::from_value(running.read("/v1/views/fair_price").await).expect("a view");
    let _: api::Source = serde_json::from_value(running.read("/v1/sources/clicks").await).expect("a source");
    let _: api::Entity = serde_json::from_value(running.read("/v1/entities/visitor").await).expect("an entity");
    let _: api::Domain = serde_json::from_value(running.read("/v1/domains/product").await).expect("a domain");
}

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
async fn if_match_refuses_what_changed_since() {
    let running = Running::start().await;
    let plan = answer(running.post_yaml("/v1/plan", HOUSE), 200).await;
    let revision = plan["registry_revision"].as_u64().expect("a revision");
    running.applied("kind: Domain\nname: other\n").await;
    let etag = format!("\"{revision}\"");
    let stale = answer(running.post_yaml("/v1/apply", HOUSE).header("if-match", etag), 412).await;
    assert_eq!(stale["code"], "stale_revision");
    assert_eq!(
        running.read("/v1/groups").await["items"],
        json!([]),
        "nothing of it was registered"
    );
    answer(running.post_yaml("/v1/apply", HOUSE).header("if-match", "\"1\""), 200).await;
}

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
async fn sql_is_planned_with_positions() {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    let sql = |sql: &str| {
        format!(
            "kind: FeatureGroup\nname: product.x\nentities: [product]\nfeatures: [{{name: y, type: float64}}]\nbatch:\n  sql: |\n    {sql}\n"
        )
    };
    for (text, code, detail) in [
        (
            "SELECT product_id, sale_prise AS y FROM listings",
            "unknown_column",
            "line 1, column 20",
        ),
        (
            "SELECT product_id, status AS y FROM listings",
            "wrong_type",
            "line 1, column 20",
        ),
        (
            "SELECT product_id, 1.0 AS y FROM product.valu",
            "unknown_table",
            "`product.value`",
        ),
        ("SELECT product_id, 1.0 AS y FROM clicks", "not_a_table", "Kafka"),
        ("SELECT product_id FROM listings", "missing_column", "`y`"),
        ("SELECT", "sql_syntax", ""),
        (
            "SELECT product_id, y FROM product.x",
            "cycle",
            "product.x reads product.x",
        ),
    ] {
        let problem = answer(running.post_yaml("/v1/plan", &sql(text)), 422).await;
        assert_eq!(problem["code"], code, "{text}: {problem:#}");
        assert!(
            problem["detail"].as_str().expect("a detail").contains(detail),
            "{text}: {problem:#}"
        );
    }
    let problem = answer(
        running.post_yaml("/v1/apply", &sql("SELECT product_id, sale_prise AS y FROM listings")),
        422,
    )
    .await;
    assert_eq!(problem["errors"][0]["pointer"], "/0/batch/sql");
}

#[tokio::test]
async fn a_cycle_is_refused_with_its_path() {
    let running = Running::start().await;
    running.applied(HOUSE).await;
    let group = |name: &str, read: &str| {
        format!(
            "kind: FeatureGroup\nname: d.{name}\nentities: [e]\nfeatures: [{{name: x, type: int64}}]\nbatch: {{sql: 'SELECT k, event_time, x FROM d.{read}'}}\n---\n"
        )
    };
    let ring = group("one", "two") + &group("two", "three") + &group("three", "one");
    let problem = answer(running.post_yaml("/v1/apply", &ring), 422).await;
    assert_eq!(problem["code"], "cycle");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(
        detail.ends_with("d.one reads d.two reads d.three reads d.one"),
        "{detail}"
    );
}

#[tokio::test]
async fn references_and_locations_are_checked() {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    for (yaml, code, pointer) in [
        (
            "kind: Entity\nname: x\ndomain: produkt\nkeys: [{name: k, type: int64}]",
            "unknown_domain",
            "/0/domain",
        ),
        (
            "kind: Source\nname: s\ndomain: product\ndelta: {uri: ../../etc}",
            "location_not_allowed",
            "/0/delta/uri",
        ),
        (
            "kind: Source\nname: s\ndomain: product\ndelta: {uri: 'file:///etc'}",
            "location_not_allowed",
            "/0/delta/uri",
        ),
        (
            "kind: Source\nname: s\ndomain: product\ndelta: {uri: elsewhere}",
            "source_not_found",
            "/0/delta/uri",
        ),
        (
            "kind: Source\nname: s\ndomain: product\ndelta: {uri: listings}\nevent_time: at",
            "unknown_column",
            "/0/event_time",
        ),
        (
            "kind: FeatureView\nname: w\ndomain: product\nfeatures: [product.value.sale_prise]",
            "unknown_feature",
            "/0/features/0",
        ),
        (
            "kind: FeatureView\nname: w\ndomain: product\nfeatures: [{feature: product.value.sale_price, keys: {id: x}}]",
            "unknown_key",
            "/0/features/0/keys/id",
        ),
        (
            "kind: FeatureView\nname: w\ndomain: product\nfeatures: [{feature: product.value.sale_price, as: p}]\nexpressions: [{name: x, type: float64, sql: q + 1}]",
            "unknown_column",
            "/0/expressions/0/sql",
        ),
        (
            "kind: FeatureView\nname: w\ndomain: product\nfeatures: [{feature: product.value.sale_price, history: current}]",
            "not_supported",
            "/0/features/0/history",
        ),
        (
            "kind: FeatureGroup\nname: product.z\nentities: [produkt]\nfeatures: [{name: x, type: int64}]",
            "unknown_entity",
            "/0/entities/0",
        ),
        (
            "kind: FeatureGroup\nname: product.z\nentities: [product]\nfeatures: [{name: product_id, type: int64}]",
            "feature_named_like_key",
            "/0/features/0/name",
        ),
        (
            "kind: FeatureGroup\nname: product.z\nentities: [product]\nfeatures: [{name: x, type: int64}]\nbatch: {inputs: {i: {features: [product.value.sale_price, visitor.profile.city]}}, sql: SELECT 1}",
            "mixed_keys",
            "/0/batch/inputs/i/features/1",
        ),
        (
            "kind: FeatureGroup\nname: product.z\nentities: [product]\nfeatures: [{name: x, type: int64, aggregate: {function: count, window: 1h}}]\nstreaming: {source: clicks, where: acton = 'view'}",
            "unknown_column",
            "/0/streaming/where",
        ),
    ] {
        let problem = answer(running.post_yaml("/v1/apply", yaml), 422).await;
        assert_eq!(
            (&problem["code"], &problem["errors"][0]["pointer"]),
            (&json!(code), &json!(pointer)),
            "{problem:#}"
        );
    }
    let unknown = answer(
        running.post_yaml("/v1/apply?allow_breaking=true", "kind: Domain\nname: x"),
        422,
    )
    .await;
    assert_eq!(unknown["code"], "unknown_parameter");
}

#[tokio::test]
async fn a_group_without_history_cannot_be_a_source() {
    let running = Running::start().await;
    running.applied(HOUSE).await;
    let online =
        "kind: FeatureGroup\nname: d.now\nentities: [e]\nstores: [online]\nfeatures: [{name: x, type: int64}]\n";
    running.applied(online).await;
    let by_name = "kind: FeatureGroup\nname: d.late\nentities: [e]\nfeatures: [{name: x, type: int64}]\nbatch: {sql: 'SELECT k, event_time, x FROM d.now'}\n";
    let by_input = "kind: FeatureGroup\nname: d.late\nentities: [e]\nfeatures: [{name: x, type: int64}]\nbatch: {inputs: {i: {features: [d.now.x]}}, sql: 'SELECT k, event_time, x FROM i'}\n";
    for yaml in [by_name, by_input] {
        assert_eq!(
            answer(running.post_yaml("/v1/apply", yaml), 422).await["code"],
            "no_history"
        );
    }
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

#[tokio::test]
async fn a_group_is_pending_until_its_tables_are_there() {
    let running = Running::start().await;
    running.tables.failures.store(2, std::sync::atomic::Ordering::SeqCst);
    let applied = running.applied(HOUSE).await;
    assert_eq!(applied["pending"], json!(["d.raw", "d.sum"]));
    let group = "d.raw".parse().expect("a group");
    for _ in 0..200 {
        if running.catalog.current().ready_group(&group).is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the reconciler did not try again");
}

#[tokio::test]
async fn a_restarted_registry_has_everything_and_pinned_views() {
    let running = Running::start().await;
    running.applied(CONTRACT).await;
    let view = "kind: FeatureView\nname: fair_price\ndomain: product\nfeatures: [product.value.sale_price]\n";
    running.applied(view).await;
    let before = running.read("/v1/graph").await;
    let (store, tables) = (running.store.clone(), running.tables.clone());
    running.server.stop().await;

    let running = Running::over(store, tables).await;
    assert_eq!(running.read("/v1/graph").await, before);
    let current = running.catalog.current();
    let view = "fair_price".parse().expect("a name");
    assert_eq!(
        current
            .view(&view, Some(1))
            .expect("revision 1")
            .definition()
            .features
            .len(),
        3
    );
    assert_eq!(current.view(&view, None).expect("the newest").revision, 2);
    let mut schemas: Vec<_> = current.groups().map(|group| group.schema.id.0).collect();
    schemas.sort_unstable();
    assert_eq!(schemas, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn an_apply_whose_answer_was_lost_finds_itself() {
    let running = Running::start().await;
    running.store.failing.lock().push(Failure::AfterIt);
    assert_eq!(running.applied(HOUSE).await["registry_revision"], 1);
    running.store.failing.lock().push(Failure::BeforeIt);
    let lost = answer(running.post_yaml("/v1/apply", "kind: Domain\nname: x"), 503).await;
    assert_eq!(lost["code"], "unavailable");
    assert_eq!(running.read("/v1/info").await["registry_revision"], 1);
    running.applied("kind: Domain\nname: x").await;
}

#[tokio::test]
async fn two_registries_over_one_store_do_not_lose_each_others_changes() {
    let one = Running::start().await;
    let two = Running::over(one.store.clone(), one.tables.clone()).await;
    one.applied("kind: Domain\nname: a").await;
    let second = two.applied("kind: Domain\nname: b").await;
    assert_eq!(second["registry_revision"], 2);
    assert_eq!(names(&two.read("/v1/domains").await), ["a", "b"]);
    one.applied("kind: Domain\nname: c").await;
    assert_eq!(names(&one.read("/v1/domains").await), ["a", "b", "c"]);
}

#[tokio::test]
async fn many_applies_at_once_are_all_there() {
    let running = Running::start().await;
    let applies = (0..20).map(|n| {
        answer(
            running.post_yaml("/v1/apply", &format!("kind: Domain\nname: d{n}")),
            200,
        )
    });
    let mut revisions: Vec<u64> = futures_join(applies)
        .await
        .iter()
        .filter_map(|a| a["registry_revision"].as_u64())
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=20).collect::<Vec<_>>());
    assert_eq!(
        running.read("/v1/domains").await["items"]
            .as_array()
            .expect("items")
            .len(),
        20
    );
}

async fn futures_join<F: Future<Output = Value> + Send + 'static>(all: impl Iterator<Item = F>) -> Vec<Value> {
    let tasks: Vec<_> = all.map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("it ends"));
    }
    answers
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

#[tokio::test]
async fn the_shipped_example_has_levels_a_diamond_and_lineage_by_column() {
    let running = Running::start().await;
    let applied = running.applied(EXAMPLE).await;
    assert_eq!(applied.get("pending"), None);
    let graph = running.read("/v1/graph").await;
    assert_eq!(
        graph["levels"],
        json!([
            [
                "product.attributes",
                "product.value",
                "visitor.click",
                "visitor.profile",
                "visitor.session"
            ],
            ["product.interest", "product.unit_price", "product.yield"],
            ["market.price", "product.heat"],
            ["product.position"],
            ["product.bargain"],
        ])
    );
    let upstream = async |feature: &str| -> Vec<String> {
        let feature: api::Feature =
            serde_json::from_value(running.read(&format!("/v1/features/{feature}")).await).expect("a feature");
        let ends = feature.upstream.into_iter();
        let shown = ends.map(|end| {
            format!(
                "{} {}{}",
                end.kind,
                end.id,
                end.column.map(|c| format!(".{c}")).unwrap_or_default()
            )
        });
        shown.collect()
    };
    // Through a CTE, a window and an aggregate: the action decides what counts, the time decides the window.
    assert_eq!(
        upstream("product.interest.views_7d").await,
        [
            "influence visitor.click.event_time",
            "influence visitor.click.product_id",
            "influence visitor.click.action",
        ]
    );
    assert_eq!(
        upstream("product.bargain.score").await,
        [
            "value product.position.price_to_market",
            "value product.yield.net_yield"
        ]
    );
    let position = upstream("product.position.price_to_market").await;
    for edge in [
        "value product.unit_price.price_per_area",
        "value market.price.median_price_per_area",
        "influence product.attributes.neighborhood",
        "influence market.price.neighborhood",
    ] {
        assert!(position.contains(&edge.to_owned()), "{position:?}");
    }
}
