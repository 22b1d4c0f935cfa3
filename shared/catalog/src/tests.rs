use std::{sync::Arc, time::Duration};

use forebay_model::{
    Timestamp,
    definitions::{Definition, parse},
};

use crate::{Catalog, ChangeSet, Gap, LookupError, Object, Ready, Record, Snapshot};

fn definitions() -> Vec<Definition> {
    let text = include_str!("../../model/src/definitions/contract.yaml");
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).expect("YAML");
    let parsed = parse(&documents).expect("definitions");
    parsed.into_iter().map(|p| p.definition).collect()
}

pub(crate) fn snapshot() -> Snapshot {
    Snapshot::of_definitions(definitions(), &Default::default()).expect("a snapshot")
}

/// The change set that writes one object of the sample again.
pub(crate) fn update(snapshot: &Snapshot, id: &str, revision: u64) -> ChangeSet {
    let (_, entry) = snapshot
        .entries()
        .find(|(found, _)| found.name == id)
        .expect("an object");
    ChangeSet {
        revision: snapshot.revision() + 1,
        published_at: Timestamp::default(),
        objects: vec![Object {
            revision,
            deleted: false,
            record: Arc::clone(&entry.record),
        }],
    }
}

#[test]
fn names_resolve_and_unknown_ones_say_what_is_near() {
    let snapshot = snapshot();
    let price = "product.value.sale_price".parse().expect("a feature");
    let (group, feature) = snapshot.feature(&price).expect("found");
    assert_eq!(group.schema.slots[feature.slot].name.as_str(), "sale_price");
    let near = snapshot.feature(&"product.value.sale_prise".parse().expect("a feature"));
    match near {
        Err(LookupError::UnknownFeature { nearest, .. }) => {
            assert_eq!(nearest[0], "product.value.sale_price");
        }
        other => panic!("{other:?}"),
    }
    let view = "fair_price".parse().expect("a name");
    assert_eq!(snapshot.view(&view, None).expect("found").revision, 1);
    assert!(matches!(
        snapshot.view(&view, Some(3)),
        Err(LookupError::UnknownRevision { newest: 1, .. })
    ));
}

#[test]
fn a_group_that_is_not_ready_is_refused_until_it_is() {
    let snapshot = snapshot();
    let name = "product.value".parse().expect("a group");
    let group = snapshot.ready_group(&name).expect("ready");
    group.readiness.set(Ready::Failed("the disk is full".into()));
    let refused = snapshot.ready_group(&name).expect_err("not ready");
    assert_eq!(
        (refused.code(), refused.to_string()),
        (
            "not_ready",
            "the feature group `product.value` is not ready yet: the disk is full".to_owned()
        )
    );
}

#[test]
fn readiness_outlives_a_revision_that_leaves_the_schema_as_it_is() {
    let catalog = Catalog::new(snapshot());
    let changes = update(&catalog.current(), "product.value", 2);
    let next = catalog.publish(&changes).expect("published");
    let group = next.ready_group(&"product.value".parse().expect("a group"));
    assert_eq!(group.expect("ready").revision, 2);
}

#[test]
fn readiness_outlives_a_snapshot_that_is_read_anew() {
    let catalog = Catalog::new(snapshot());
    let current = catalog.current();
    let objects = current.entries().map(|(_, entry)| Object {
        revision: entry.revision,
        deleted: false,
        record: Arc::clone(&entry.record),
    });
    let everything = ChangeSet {
        revision: 5,
        published_at: Timestamp::default(),
        objects: objects.collect(),
    };
    let fresh = Snapshot::empty().apply(&everything).expect("a snapshot");
    let group = "product.value".parse().expect("a group");
    assert!(fresh.ready_group(&group).is_err(), "nobody has looked yet");
    assert!(catalog.replace(fresh).ready_group(&group).is_ok());
}

#[test]
fn old_revisions_of_a_view_stay_and_a_gap_is_told() {
    let catalog = Catalog::new(snapshot());
    let mut changes = update(&catalog.current(), "fair_price", 2);
    let next = catalog.publish(&changes).expect("published");
    let view = "fair_price".parse().expect("a name");
    for (asked, found) in [(None, 2), (Some(1), 1), (Some(2), 2)] {
        assert_eq!(next.view(&view, asked).expect("found").revision, found);
    }
    assert_eq!(catalog.publish(&changes).expect("again").revision(), 2);
    changes.revision = 9;
    assert_eq!(
        catalog.publish(&changes).expect_err("a gap"),
        Gap::Missing { expected: 3, found: 9 }
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_revision_or_with_patience() {
    let catalog = Arc::new(Catalog::new(snapshot()));
    let late = catalog.wait_for(2, Duration::from_secs(1)).await;
    assert_eq!(late.expect_err("late").newest, 1);
    let waiting = tokio::spawn({
        let catalog = Arc::clone(&catalog);
        async move { catalog.wait_for(2, Duration::from_secs(1)).await }
    });
    tokio::task::yield_now().await;
    catalog
        .publish(&update(&catalog.current(), "fair_price", 2))
        .expect("published");
    assert_eq!(waiting.await.expect("joined").expect("in time").revision(), 2);
}

#[test]
fn records_read_as_they_write() {
    for (_, entry) in snapshot().entries() {
        let text = entry.record.to_json().expect("JSON");
        assert_eq!(Record::from_json(&text).expect("a record"), *entry.record);
    }
}
