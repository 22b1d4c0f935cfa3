//! What is wrong with definitions, and what is read from their SQL.

use forebay_api::definitions as api;
use serde_json::json;

use super::HOUSE;
use crate::testing::{CONTRACT, EXAMPLE, Running, answer};

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
