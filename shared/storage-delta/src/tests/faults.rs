//! A server that loses answers, stops, or hangs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_model::GroupSchema;
use forebay_storage::{
    AppendError, Compacted, Compaction, OfflineStore, Provision, StorageError, conformance::schemas,
};
use forebay_testbed::{S3, S3Options};
use futures::future::join_all;

use crate::tests::{
    Lake,
    lake::{ids, impatient, made, moving, running},
    proxy::{Fate, Proxy},
};

async fn behind_a_proxy() -> (Proxy, Lake) {
    let proxy = Proxy::start(&forebay_testbed::s3().endpoint).await;
    let lake = Lake::on_server(&proxy.endpoint, impatient());
    (proxy, lake)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_stands_once() {
    let (proxy, lake) = behind_a_proxy().await;
    let schema = made(&lake.store).await;
    let mut from = 0;
    for fates in [
        &[Fate::AnswerLost][..],
        &[Fate::AnsweredBusy],
        &[Fate::RequestLost],
        &[Fate::RequestLost, Fate::AnswerLost],
        &[Fate::AnswerLost, Fate::AnswerLost],
    ] {
        proxy.doom(fates);
        let committed = lake.store.append(&schema, moving(from, from + 3)).await;
        let committed = committed.unwrap_or_else(|failure| panic!("{fates:?}: {failure}"));
        assert_eq!(committed.rows, 3, "{fates:?}");
        from += 3;
        assert_eq!(
            lake.store.positions(&schema, 1).await.expect("positions"),
            [from],
            "{fates:?}"
        );
    }
    proxy.doom(&[Fate::AnswerLost]);
    lake.store
        .append(&schema, running("a run", 100..105))
        .await
        .expect("appended");
    let again = lake
        .another()
        .append(&schema, running("a run", 100..105))
        .await
        .expect("again");
    assert!(again.repeated);
    let expected: Vec<i64> = (0..from as i64).chain(100..105).collect();
    assert_eq!(ids(&lake.store, &schema, None).await, expected);

    proxy.doom(&[Fate::AnswerLost]);
    let policy = Compaction {
        min_files: 2,
        target_bytes: 1 << 20,
        memory_bytes: 64 << 20,
    };
    // Of a compaction that says it failed it is unknown whether it stands; the rows are the same either way.
    let merged = lake.store.compact(&schema, &policy).await;
    assert!(!matches!(merged, Ok(Compacted::Nothing)), "{merged:?}");
    assert_eq!(ids(&lake.store, &schema, None).await, expected);

    proxy.doom(&[Fate::AnswerLost]);
    lake.store
        .ensure(&schemas::prices(1))
        .await
        .expect("a feature is added, whatever the answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_fate_keeps_its_files() {
    let (proxy, lake) = behind_a_proxy().await;
    let schema = made(&lake.store).await;
    proxy.doom(&[Fate::RequestLost; 100]);
    let failed = lake.store.append(&schema, moving(0, 3)).await;
    assert!(
        matches!(failed, Err(AppendError::Storage(StorageError::Unavailable { .. }))),
        "{failed:?}"
    );
    assert_eq!(lake.data_files(&schema).await, 1, "the commit may yet be carried out");
    proxy.doom(&[]);
    lake.store.append(&schema, moving(0, 5)).await.expect("appended");
    assert_eq!(ids(&lake.store, &schema, None).await, (0..5).collect::<Vec<_>>());
}

/// A sink that gives up a commit which is still on its way.
async fn with_a_commit_on_its_way() -> (Proxy, Lake, Arc<GroupSchema>) {
    let (proxy, lake) = behind_a_proxy().await;
    let schema = made(&lake.store).await;
    let mut fates = vec![Fate::RequestLate];
    fates.extend([Fate::RequestLost; 20]);
    proxy.doom(&fates);
    lake.store.append(&schema, moving(0, 5)).await.expect_err("no answer");
    proxy.doom(&[]);
    assert_eq!(lake.another().positions(&schema, 1).await.expect("positions"), [0]);
    (proxy, lake, schema)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrives_late_stands_with_its_rows() {
    let (proxy, lake, schema) = with_a_commit_on_its_way().await;
    assert_eq!(proxy.deliver().await, ["200"]);
    let next = lake.another();
    assert_eq!(next.positions(&schema, 1).await.expect("positions"), [5]);
    assert_eq!(ids(&next, &schema, None).await, (0..5).collect::<Vec<_>>());
    let again = lake.store.append(&schema, moving(0, 5)).await.expect("it stands");
    assert!(again.repeated);
    let more = lake.store.append(&schema, moving(0, 8)).await;
    assert!(matches!(more, Err(AppendError::Moved { found: 5, .. })), "{more:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrives_too_late_changes_nothing() {
    let (proxy, lake, schema) = with_a_commit_on_its_way().await;
    lake.another().append(&schema, moving(0, 7)).await.expect("appended");
    assert_eq!(proxy.deliver().await, ["412"]);
    assert_eq!(ids(&lake.store, &schema, None).await, (0..7).collect::<Vec<_>>());
    assert_eq!(lake.store.positions(&schema, 1).await.expect("positions"), [7]);
}

/// What one call of each kind says, and how long the slowest takes.
async fn calls(lake: &Lake) -> (Vec<Result<(), StorageError>>, Duration) {
    let began = Instant::now();
    let (schema, store) = (schemas::prices(0), &lake.store);
    let reads = join_all((0..8).map(|_| async { store.positions(&schema, 2).await.map(|_| ()) }));
    let append = async {
        match store.append(&schema, moving(5, 9)).await {
            Ok(_) => Ok(()),
            Err(AppendError::Storage(failure)) => Err(failure),
            Err(other) => panic!("{other}"),
        }
    };
    let fresh = lake.another();
    let opened = async { fresh.version(&schema).await.map(|_| ()) };
    let earlier = async { store.rows(&schema, Some(0)).await.map(|_| ()) };
    let (mut said, append, opened, earlier) = tokio::join!(reads, append, opened, earlier);
    said.extend([append, opened, earlier, store.check().await]);
    (said, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_or_hangs_is_told_in_time_and_found_again() {
    let server = S3::start(S3Options::default()).expect("a server");
    let lake = Lake::on_server(&server.address().endpoint, impatient());
    let schema = made(&lake.store).await;
    lake.store.append(&schema, moving(0, 5)).await.expect("appended");

    server.kill();
    let (said, took) = calls(&lake).await;
    let down = |said: &Result<(), StorageError>| {
        matches!(
            said,
            Err(StorageError::Unavailable { .. } | StorageError::TimedOut { .. })
        )
    };
    assert!(said.iter().all(down), "{said:?}");
    // One request takes 5 s at the longest.
    assert!(took < Duration::from_secs(12), "{took:?}");
    server.restart().expect("started again");
    assert_eq!(lake.store.positions(&schema, 1).await.expect("found again"), [5]);

    server.pause();
    let (said, took) = calls(&lake).await;
    server.resume();
    assert!(said.iter().all(down), "{said:?}");
    assert!(took < Duration::from_secs(25), "{took:?}");
    // What was sent while it hung may have been carried out, in part or whole.
    lake.store.append(&schema, moving(5, 9)).await.expect("found again");
    assert_eq!(ids(&lake.store, &schema, None).await, (0..9).collect::<Vec<_>>());
    assert_eq!(lake.another().positions(&schema, 1).await.expect("positions"), [9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_told() {
    let mut lake = Lake::on_s3();
    lake.store.check().await.expect("it is there");
    lake.config.root = Some("s3://nobody-made-this/x".to_owned());
    let store = lake.another();
    let said = store.check().await.expect_err("no such bucket").to_string();
    assert!(
        said.contains("nobody-made-this") || said.contains("NoSuchBucket"),
        "{said}"
    );
    lake.config.root = Some("s3://forebay/x".to_owned());
    lake.config.s3.secret_access_key = forebay_storage::Secret::new("wrong");
    let said = lake.another().check().await.expect_err("refused").to_string();
    assert!(!said.contains("wrong"), "{said}");
}
