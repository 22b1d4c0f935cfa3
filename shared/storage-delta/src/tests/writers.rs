//! Several writers of one table, and writers that die.

use std::time::Duration;

use forebay_storage::{AppendError, ChangeKind, Changes, Compacted, Compaction, OfflineStore, Provision, Retention};
use futures::future::join_all;

use crate::tests::{
    Lake, everywhere,
    lake::{ids, made, moving, running, upload},
};

everywhere! {
    it_is_an_offline_store,
    processes_race_and_lose_nothing,
    a_sink_that_was_thought_dead_changes_nothing,
    a_writer_that_dies_before_its_commit_leaves_no_trace,
    compactions_of_several_processes_double_nothing,
    a_table_made_anew_is_not_taken_for_the_old_one,
    a_log_that_others_cleaned_up_is_read_anew,
}

const EAGER: Compaction = Compaction {
    min_files: 2,
    target_bytes: 1 << 20,
    memory_bytes: 64 << 20,
};

pub(crate) async fn it_is_an_offline_store(lake: Lake) {
    let local = lake.store.locations().root().local().is_some();
    let lakes = parking_lot::Mutex::new(Vec::new());
    forebay_storage::conformance::offline_store(async || {
        let lake = if local { Lake::local() } else { Lake::on_s3() };
        let store: std::sync::Arc<dyn OfflineStore> = std::sync::Arc::new(lake.store.clone());
        lakes.lock().push(lake);
        store
    })
    .await;
}

pub(crate) async fn processes_race_and_lose_nothing(lake: Lake) {
    let schema = made(&lake.store).await;
    let stores: Vec<_> = (0..4).map(|_| lake.another()).collect();
    let appends = stores.iter().enumerate().map(|(process, store)| {
        let schema = schema.clone();
        async move {
            for step in 0..4 {
                let first = (process as i64 * 4 + step) * 10;
                let append = running(&format!("run {first}"), first..first + 10);
                store.append(&schema, append).await.expect("appended");
            }
        }
    });
    join_all(appends).await;
    assert_eq!(ids(&lake.store, &schema, None).await, (0..160).collect::<Vec<_>>());
    for store in &stores {
        assert!(store.committed_run(&schema, "run 150").await.expect("asked"));
        assert!(!store.committed_run(&schema, "run 7").await.expect("asked"));
    }
}

pub(crate) async fn a_sink_that_was_thought_dead_changes_nothing(lake: Lake) {
    let schema = made(&lake.store).await;
    let (old, new) = (lake.another(), lake.another());
    old.append(&schema, moving(0, 5)).await.expect("appended");
    new.append(&schema, moving(5, 12)).await.expect("taken over");
    let late = old.append(&schema, moving(5, 9)).await;
    assert!(
        matches!(
            late,
            Err(AppendError::Moved {
                partition: 0,
                expected: 5,
                found: 12
            })
        ),
        "{late:?}"
    );
    let same = old.append(&schema, moving(5, 12)).await.expect("it stands");
    assert!(same.repeated);
    assert_eq!(old.positions(&schema, 1).await.expect("positions"), [12]);
    assert_eq!(ids(&old, &schema, None).await, (0..12).collect::<Vec<_>>());
}

pub(crate) async fn a_writer_that_dies_before_its_commit_leaves_no_trace(lake: Lake) {
    let schema = made(&lake.store).await;
    lake.store.append(&schema, moving(0, 5)).await.expect("appended");
    upload(&lake.store, &schema, 5..9).await;
    assert_eq!(lake.data_files(&schema).await, 2);

    let next = lake.another();
    next.append(&schema, moving(5, 9))
        .await
        .expect("the next sink brings them");
    assert_eq!(ids(&next, &schema, None).await, (0..9).collect::<Vec<_>>());
    let retention = |files| Retention {
        checkpoint_every: 100,
        log: Duration::from_secs(3_600),
        files,
        oldest_pin: None,
    };
    let young = next
        .tidy(&schema, &retention(Duration::from_secs(3_600)))
        .await
        .expect("tidied");
    assert_eq!(young.files_removed, 0, "it may belong to a commit on its way");
    let old = next.tidy(&schema, &retention(Duration::ZERO)).await.expect("tidied");
    assert_eq!((old.files_removed, lake.data_files(&schema).await), (1, 2));
    assert_eq!(ids(&lake.store, &schema, None).await, (0..9).collect::<Vec<_>>());
}

pub(crate) async fn compactions_of_several_processes_double_nothing(lake: Lake) {
    let schema = made(&lake.store).await;
    for step in 0..6 {
        lake.store
            .append(&schema, moving(step * 10, step * 10 + 10))
            .await
            .expect("appended");
    }
    let stores: Vec<_> = (0..3).map(|_| lake.another()).collect();
    let compactions = join_all(stores.iter().map(|store| store.compact(&schema, &EAGER)));
    let appends = async {
        for step in 6..9 {
            lake.store
                .append(&schema, moving(step * 10, step * 10 + 10))
                .await
                .expect("appended");
        }
    };
    let (outcomes, ()) = tokio::join!(compactions, appends);
    let merged = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(Compacted::Merged { .. })))
        .count();
    assert!(merged >= 1 && outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(ids(&lake.store, &schema, None).await, (0..90).collect::<Vec<_>>());
    assert_eq!(lake.store.positions(&schema, 1).await.expect("positions"), [90]);
}

pub(crate) async fn a_table_made_anew_is_not_taken_for_the_old_one(lake: Lake) {
    let schema = made(&lake.store).await;
    lake.store.append(&schema, moving(0, 5)).await.expect("appended");
    lake.store.append(&schema, moving(5, 6)).await.expect("appended");
    assert_eq!(lake.store.positions(&schema, 1).await.expect("positions"), [6]);
    let other = lake.another();
    other.purge(&schema).await.expect("purged");
    assert!(lake.store.version(&schema).await.is_err(), "it is gone for all");
    other.ensure(&schema).await.expect("made anew");
    other.append(&schema, moving(0, 2)).await.expect("appended");
    other.append(&schema, moving(2, 3)).await.expect("appended");
    assert_eq!(lake.store.positions(&schema, 1).await.expect("positions"), [3]);
    assert_eq!(ids(&lake.store, &schema, None).await, [0, 1, 2]);
    other.purge(&schema).await.expect("purged");
    other.ensure(&schema).await.expect("made anew");
    for step in 0..5 {
        other
            .append(&schema, moving(step * 10, step * 10 + 10))
            .await
            .expect("appended");
    }
    assert_eq!(lake.store.positions(&schema, 1).await.expect("positions"), [50]);
    assert_eq!(ids(&lake.store, &schema, None).await, (0..50).collect::<Vec<_>>());
}

pub(crate) async fn a_log_that_others_cleaned_up_is_read_anew(lake: Lake) {
    let schema = made(&lake.store).await;
    for step in 0..6 {
        lake.store
            .append(&schema, moving(step, step + 1))
            .await
            .expect("appended");
    }
    assert_eq!(lake.store.positions(&schema, 1).await.expect("positions"), [6]);
    let other = lake.another();
    let now = Retention {
        checkpoint_every: 1,
        log: Duration::ZERO,
        files: Duration::ZERO,
        oldest_pin: None,
    };
    let tidied = other.tidy(&schema, &now).await.expect("tidied");
    assert_eq!(tidied.checkpoint, Some(6));
    for version in 0..6 {
        lake.remove_entry(&schema, version).await;
    }
    lake.store.append(&schema, moving(6, 9)).await.expect("appended");
    assert_eq!(ids(&lake.store, &schema, None).await, (0..9).collect::<Vec<_>>());
    let fresh = lake.another();
    assert_eq!(fresh.positions(&schema, 1).await.expect("positions"), [9]);
    let since = |version| OfflineStore::changes(&fresh, &schema, Some(version), 10);
    assert!(matches!(since(2).await.expect("changes"), Changes::Gone { newest: 7 }));
    let Changes::Listed(listed) = since(6).await.expect("changes") else {
        panic!("the newest entry is there")
    };
    assert_eq!((listed.len(), listed[0].kind), (1, ChangeKind::AddsRows));
}
