//! Applies: atomic, revisioned, one at a time, and still there after a restart.

use forebay_api::definitions as api;
use serde_json::{Value, json};

use super::{HOUSE, names};
use crate::testing::{CONTRACT, Failure, Running, answer};

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
    running.store.failing.lock().extend([Failure::BeforeIt; 4]);
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
