//! Compaction, checkpoints, vacuum and the clean-up of the log.

use std::time::Duration;

use forebay_storage::{Compacted, Compaction, OfflineStore, Provision, Retention, conformance::schemas};

use crate::{
    DeltaStore,
    tests::{
        Lake, everywhere,
        lake::{ids, made, moving, upload},
    },
};

everywhere! {
    small_batches_do_not_make_small_files_for_ever,
    all_versions_from_the_pinned_one_on_stay_readable,
    a_clock_that_runs_ahead_removes_nothing,
}

const POLICY: Compaction = Compaction {
    min_files: 8,
    target_bytes: 1 << 20,
    memory_bytes: 64 << 20,
};

const AT_ONCE: Retention = Retention {
    checkpoint_every: 10,
    log: Duration::ZERO,
    files: Duration::ZERO,
    oldest_pin: None,
};

async fn live_files(store: &DeltaStore, schema: &forebay_model::GroupSchema) -> usize {
    let table = crate::table::Table::new(store.locations().of_group(schema));
    let newest = table.newest().await.expect("read").expect("there");
    table.files(&newest).expect("files").len()
}

pub(crate) async fn small_batches_do_not_make_small_files_for_ever(lake: Lake) {
    let schema = made(&lake.store).await;
    let upkeep = lake.another();
    for step in 0..200 {
        lake.store
            .append(&schema, moving(step * 5, step * 5 + 5))
            .await
            .expect("appended");
        if step % 20 == 19 {
            while let Compacted::Merged { .. } = upkeep.compact(&schema, &POLICY).await.expect("compacted") {}
            upkeep.tidy(&schema, &AT_ONCE).await.expect("tidied");
        }
    }
    while let Compacted::Merged { .. } = upkeep.compact(&schema, &POLICY).await.expect("compacted") {}
    upkeep.tidy(&schema, &AT_ONCE).await.expect("tidied");
    let live = live_files(&upkeep, &schema).await;
    assert!(live < POLICY.min_files, "{live} files in the newest version");
    assert_eq!(lake.data_files(&schema).await, live, "nothing else is left");
    let table = lake.store.locations().of_group(&schema);
    let log = lake.objects(&table.join("_delta_log")).await;
    // The newest checkpoint's version, what came after it, and what the clean-up needs to keep of one older.
    assert!(log.len() <= 30, "{} log files: {log:#?}", log.len());

    let expected: Vec<i64> = (0..1_000).collect();
    for store in [&lake.store, &upkeep, &lake.another()] {
        assert_eq!(ids(store, &schema, None).await, expected);
        assert_eq!(store.positions(&schema, 2).await.expect("positions"), [1_000, 0]);
    }
    let again = lake.another().append(&schema, moving(995, 1_000)).await.expect("again");
    assert!(again.repeated);
}

pub(crate) async fn all_versions_from_the_pinned_one_on_stay_readable(lake: Lake) {
    let schema = made(&lake.store).await;
    let store = &lake.store;
    let eager = Compaction { min_files: 2, ..POLICY };
    let mut contents = Vec::new();
    for step in 0..6 {
        let committed = store
            .append(&schema, moving(step * 5, step * 5 + 5))
            .await
            .expect("appended");
        contents.push((committed.version, i64::try_from(step * 5 + 5).expect("small")));
        if step % 2 == 1 {
            let merged = store.compact(&schema, &eager).await.expect("compacted");
            let Compacted::Merged { version, .. } = merged else {
                panic!("{merged:?}")
            };
            contents.push((version, i64::try_from(step * 5 + 5).expect("small")));
        }
    }
    store.ensure(&schemas::prices(1)).await.expect("widened");
    let pin = contents[3].0;
    let pinned = Retention {
        checkpoint_every: 1,
        oldest_pin: Some(pin),
        ..AT_ONCE
    };
    let tidied = store.tidy(&schema, &pinned).await.expect("tidied");
    assert!(tidied.files_removed > 0, "those from before: {tidied:?}");
    store.tidy(&schema, &pinned).await.expect("tidied again");
    let fresh = lake.another();
    for (version, rows) in contents.iter().filter(|(version, _)| *version >= pin) {
        assert_eq!(
            ids(&fresh, &schema, Some(*version)).await,
            (0..*rows).collect::<Vec<_>>(),
            "version {version}"
        );
    }
    let unpinned = store.tidy(&schema, &AT_ONCE).await.expect("tidied");
    assert!(unpinned.files_removed > 0, "{unpinned:?}");
    assert_eq!(ids(&fresh, &schema, None).await, (0..30).collect::<Vec<_>>());
}

pub(crate) async fn a_clock_that_runs_ahead_removes_nothing(lake: Lake) {
    let schema = made(&lake.store).await;
    for step in 0..4 {
        lake.store
            .append(&schema, moving(step * 5, step * 5 + 5))
            .await
            .expect("appended");
    }
    let before = lake.store.version(&schema).await.expect("a version");
    let eager = Compaction { min_files: 2, ..POLICY };
    lake.store.compact(&schema, &eager).await.expect("compacted");
    upload(&lake.store, &schema, 20..25).await;
    let files = lake.data_files(&schema).await;

    let day = Duration::from_secs(24 * 3_600);
    let retention = Retention {
        checkpoint_every: 1,
        log: 7 * day,
        files: 7 * day,
        oldest_pin: None,
    };
    let ahead = lake.ahead(forebay_model::Duration::from_micros(30 * 24 * 3_600_000_000));
    for _ in 0..2 {
        let tidied = ahead.tidy(&schema, &retention).await.expect("tidied");
        assert_eq!((tidied.files_removed, tidied.log_entries_removed), (0, 0));
        // A version after the checkpoint.
        ahead.ensure(&schemas::prices(1)).await.expect("widened");
    }
    assert_eq!(
        lake.data_files(&schema).await,
        files,
        "a commit may be about to name it"
    );
    let another = lake.another();
    assert_eq!(ids(&another, &schema, Some(before)).await, (0..20).collect::<Vec<_>>());
}
