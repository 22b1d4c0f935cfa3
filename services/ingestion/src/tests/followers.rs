use std::{sync::Arc, time::Duration};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use deltalake::{DeltaTable, DeltaTableBuilder};
use forebay_storage::{Append, CommitIdentity, Compaction, OfflineStore, Retention, Topic};
use futures::{StreamExt, stream};

use super::world::{Life, World, eager, until};
use crate::follower::{FollowerState, consumer};

const GROUP: &str = "shop.committed";

/// The group's table as somebody else opens it.
async fn outside(world: &World) -> DeltaTable {
    let url =
        url::Url::from_directory_path(world.folder.path().canonicalize().unwrap().join("lake/shop/committed")).unwrap();
    DeltaTableBuilder::from_url(url).unwrap().load().await.unwrap()
}

async fn follows(life: &Life, version: u64) {
    let topic = Topic::of(&life.schema(GROUP));
    until("the follower has come to the version", async || {
        life.state.followed.state(topic) == Some(FollowerState::Following { version })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_go_online_in_order() {
    let world = World::new(eager());
    let life = world.begin().await;
    life.commit(GROUP, "1", &[(1, 10, 1.0), (2, 10, 1.0)]).await;
    let version = life.commit(GROUP, "2", &[(1, 5, 2.0), (2, 20, 2.0)]).await;
    follows(&life, version).await;
    assert_eq!(
        life.online(GROUP, 1).await,
        Some((1.0, 10)),
        "a late row changes nothing"
    );
    assert_eq!(life.online(GROUP, 2).await, Some((2.0, 20)));
    life.end().await;

    let life = world.idle().await;
    let durable = life
        .state
        .deps
        .online
        .progress(&consumer(Topic::of(&life.schema(GROUP))))
        .await
        .unwrap();
    assert_eq!(durable, Some(version as i64), "it is known where to go on");
    // Rows of the next commit are online, and the process dies before that is remembered.
    let next = life.commit(GROUP, "3", &[(1, 30, 3.0)]).await;
    life.end().await;
    let life = world.begin().await;
    follows(&life, next).await;
    assert_eq!(life.online(GROUP, 1).await, Some((3.0, 30)));
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inadmissible_rows_are_left_out() {
    let world = World::new(eager());
    let life = world.begin().await;
    let times = |times: [Option<i64>; 5]| {
        Arc::new(TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC")) as ArrayRef
    };
    let batch = RecordBatch::try_from_iter([
        (
            "id",
            Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(4), Some(5)])) as ArrayRef,
        ),
        ("event_time", times([Some(10), Some(10), Some(10), None, Some(10)])),
        ("ingest_time", times([Some(10), Some(9), Some(10), Some(10), None])),
        ("price", Arc::new(Float64Array::from(vec![1.0; 5]))),
    ])
    .unwrap();
    let append = Append {
        identity: CommitIdentity::Run("outsider".into()),
        rows: stream::iter([Ok(batch)]).boxed(),
        notes: Default::default(),
    };
    let version = life.delta.append(&life.schema(GROUP), append).await.unwrap().version;
    follows(&life, version).await;
    assert_eq!(life.online(GROUP, 1).await, Some((1.0, 10)));
    for id in [2, 4, 5] {
        assert_eq!(life.online(GROUP, id).await, None, "{id}");
    }
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outsiders_optimize_is_skipped() {
    let world = World::new(eager());
    let life = world.begin().await;
    for run in 0..4 {
        life.commit(GROUP, &run.to_string(), &[(run, 10, 1.0)]).await;
    }
    let (table, metrics) = outside(&world).await.optimize().await.unwrap();
    assert_eq!((metrics.num_files_removed, metrics.num_files_added), (4, 1));
    follows(&life, table.version().unwrap()).await;
    let version = life.commit(GROUP, "after", &[(9, 10, 9.0)]).await;
    follows(&life, version).await;
    assert_eq!(life.online(GROUP, 9).await, Some((9.0, 10)));
    assert_eq!(life.offline(GROUP).await.len(), 5);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outsiders_delete_stops_the_group_until_it_is_rebuilt() {
    let world = World::new(eager());
    let life = world.begin().await;
    let topic = Topic::of(&life.schema(GROUP));
    let version = life
        .commit(GROUP, "1", &[(1, 10, 1.0), (2, 20, 2.0), (2, 10, 1.0)])
        .await;
    follows(&life, version).await;
    // The table is append-only; whoever takes that away means it.
    let table = outside(&world).await;
    assert!(table.clone().delete().with_predicate("price = 2.0").await.is_err());
    let properties = std::collections::HashMap::from([("delta.appendOnly".to_owned(), "false".to_owned())]);
    let table = table.set_tbl_properties().with_properties(properties).await.unwrap();
    let (table, _) = table.delete().with_predicate("price = 2.0").await.unwrap();
    let stopped = FollowerState::Stopped {
        version: table.version().unwrap(),
    };
    until("the group is stopped", async || {
        life.state.followed.state(topic) == Some(stopped.clone())
    })
    .await;
    assert_eq!(life.state.followed.stopped_groups().len(), 1);
    life.commit(GROUP, "2", &[(3, 30, 3.0)]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(life.online(GROUP, 3).await, None, "nothing goes online any more");
    assert_eq!(life.online(GROUP, 2).await, Some((2.0, 20)), "what is there stays");
    life.end().await;

    let life = world.begin().await;
    until("the group is stopped again", async || {
        life.state.followed.state(topic) == Some(stopped.clone())
    })
    .await;
    let group = life
        .state
        .deps
        .catalog
        .current()
        .group(&"shop.committed".parse().unwrap())
        .unwrap()
        .clone();
    assert_eq!(
        crate::follower::orders::state(&*life.state.deps.online, topic)
            .await
            .unwrap(),
        Some(stopped.clone()),
        "any process can tell"
    );
    let now = life.state.deps.clock.now();
    crate::follower::orders::order_rebuild(&*life.state.deps.online, &group, now)
        .await
        .unwrap();
    life.state.followed.wake(topic);
    let newest = life.delta.version(&life.schema(GROUP)).await.unwrap();
    follows(&life, newest).await;
    assert_eq!(
        life.online(GROUP, 2).await,
        Some((1.0, 10)),
        "the row that is left wins"
    );
    assert_eq!(life.online(GROUP, 3).await, Some((3.0, 30)));
    assert!(life.state.followed.stopped_groups().is_empty());
    let version = life.commit(GROUP, "3", &[(4, 40, 4.0)]).await;
    follows(&life, version).await;
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_log_entry_brings_all_rows_online() {
    let world = World::new(eager());
    let life = world.begin().await;
    let version = life.commit(GROUP, "1", &[(1, 10, 1.0)]).await;
    follows(&life, version).await;
    life.end().await;

    let life = world.idle().await;
    for run in 2..5 {
        life.commit(GROUP, &run.to_string(), &[(run, 10 * run, run as f64)])
            .await;
    }
    // Somebody's checkpoint and log clean-up.
    let now_everything = Retention {
        checkpoint_every: 1,
        log: Duration::ZERO,
        files: Duration::from_secs(3_600),
        oldest_pin: None,
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    let tidied = life.delta.tidy(&life.schema(GROUP), &now_everything).await.unwrap();
    assert!(tidied.log_entries_removed > 0, "{tidied:?}");
    life.end().await;

    let life = world.begin().await;
    let newest = life.delta.version(&life.schema(GROUP)).await.unwrap();
    follows(&life, newest).await;
    for run in 2..5 {
        assert_eq!(life.online(GROUP, run).await, Some((run as f64, 10 * run)));
    }
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vanished_files_bring_all_rows_online() {
    let world = World::new(eager());
    let life = world.begin().await;
    let version = life.commit(GROUP, "1", &[(1, 10, 1.0)]).await;
    follows(&life, version).await;
    life.end().await;

    let life = world.idle().await;
    let schema = life.schema(GROUP);
    for run in 2..5 {
        life.commit(GROUP, &run.to_string(), &[(run, 10 * run, run as f64)])
            .await;
    }
    let all = Compaction {
        min_files: 2,
        target_bytes: 1 << 20,
        memory_bytes: 64 << 20,
    };
    life.delta.compact(&schema, &all).await.unwrap();
    let files = Retention {
        checkpoint_every: 1_000,
        log: Duration::from_secs(3_600),
        files: Duration::ZERO,
        oldest_pin: None,
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(life.delta.tidy(&schema, &files).await.unwrap().files_removed >= 4);
    life.end().await;

    let life = world.begin().await;
    let newest = life.delta.version(&schema).await.unwrap();
    follows(&life, newest).await;
    for run in 2..5 {
        assert_eq!(life.online(GROUP, run).await, Some((run as f64, 10 * run)));
    }
    assert_eq!(life.online(GROUP, 1).await, Some((1.0, 10)));
    life.end().await;
}
