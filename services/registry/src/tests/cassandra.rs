//! Registries over a real Cassandra.

use std::{sync::Arc, time::Duration};

use forebay_storage::{ProcessAnnouncements, RegistryStore};
use forebay_storage_cassandra::{CassandraConfig, CassandraStores, migrate};
use uuid::Uuid;

use crate::testing::{MemoryTables, Running, answer};

/// The settings of a keyspace of its own.
async fn keyspace() -> CassandraConfig {
    let contact_point = tokio::task::spawn_blocking(|| forebay_testbed::cassandra().to_owned());
    let config = CassandraConfig {
        contact_points: vec![contact_point.await.expect("a server")],
        keyspace: format!("registry_{}", Uuid::new_v4().simple()),
        replication_factor: 1,
        lease_ms: 2_000,
        ..CassandraConfig::default()
    };
    migrate(&config, None).await.expect("migrated");
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_registries_that_apply_at_once_lose_nothing() {
    let config = keyspace().await;
    let announcements = Arc::<ProcessAnnouncements>::default();
    let tables = Arc::<MemoryTables>::default();
    let mut registries = Vec::new();
    // Each with connections of its own, as processes have them.
    for _ in 0..10 {
        let stores = CassandraStores::connect(&config, None).await.expect("connected");
        let registry = Running::on(
            stores.registry.clone(),
            tables.clone(),
            announcements.clone(),
            stores.leases.clone(),
        );
        registries.push((registry.await, stores));
    }
    let started = std::time::Instant::now();
    let mut applies = Vec::new();
    for (index, (registry, _)) in registries.iter().enumerate() {
        for round in 0..2 {
            let name = format!("d{index}_{round}");
            let bundle = format!(
                "kind: Domain\nname: {name}\n---\nkind: Entity\nname: {name}\ndomain: {name}\nkeys: [{{name: k, type: int64}}]\n---\n\
                 kind: FeatureGroup\nname: {name}.g\nentities: [{name}]\nfeatures: [{{name: x, type: int64}}]\n"
            );
            applies.push(tokio::spawn(answer(registry.post_yaml("/v1/apply", &bundle), 200)));
        }
    }
    let mut revisions = Vec::new();
    for apply in applies {
        revisions.extend(apply.await.expect("it ends")["registry_revision"].as_u64());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=20).collect::<Vec<_>>());
    println!("20 applies through 10 registries: {:?}", started.elapsed());

    let is_whole = |registry: &Running| {
        let snapshot = registry.catalog.current();
        snapshot.revision() == 20 && snapshot.groups().filter(|group| group.is_ready()).count() == 20
    };
    for (registry, _) in &registries {
        for _ in 0..500 {
            if is_whole(registry) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(is_whole(registry), "{:?}", registry.catalog.current());
    }
    // One that starts now reads the same from the store alone.
    let stores = CassandraStores::connect(&config, None).await.expect("connected");
    let late = Running::on(
        stores.registry.clone(),
        tables,
        Arc::new(ProcessAnnouncements::default()),
        stores.leases.clone(),
    );
    let late = late.await;
    let ids = |registry: &Running| -> Vec<(String, u32)> {
        let snapshot = registry.catalog.current();
        let groups = snapshot.groups();
        groups
            .map(|group| (group.name.to_string(), group.schema.id.0))
            .collect()
    };
    assert_eq!(ids(&late), ids(&registries[0].0));
    let mut numbers: Vec<u32> = ids(&late).into_iter().map(|(_, id)| id).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    let log = stores.registry.log(0, 100).await.expect("a log");
    assert!(log.iter().map(|head| head.registry_revision).eq(1..=20));
}
