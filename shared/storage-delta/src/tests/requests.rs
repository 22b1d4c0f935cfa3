//! What calls cost in requests to the server.

use std::{sync::Arc, time::Duration};

use forebay_model::GroupSchema;
use forebay_storage::{Compacted, Compaction, OfflineStore, Retention};

use crate::{
    S3Config,
    tests::{
        Lake,
        lake::{made, moving},
        proxy::Proxy,
    },
};

/// How many requests of each kind, by their names.
fn kinds(requests: &[String]) -> Vec<&str> {
    let mut kinds: Vec<_> = requests
        .iter()
        .filter_map(|request| request.split(' ').next())
        .collect();
    kinds.sort_unstable();
    kinds
}

/// A table of so many commits that its store knows; what that took is not counted.
async fn table_of(commits: u64) -> (Proxy, Lake, Arc<GroupSchema>) {
    let proxy = Proxy::start(&forebay_testbed::s3().endpoint).await;
    let lake = Lake::on_server(&proxy.endpoint, S3Config::default());
    let schema = made(&lake.store).await;
    for step in 0..commits {
        lake.store
            .append(&schema, moving(step, step + 1))
            .await
            .expect("appended");
    }
    lake.store.positions(&schema, 1).await.expect("positions");
    proxy.requests();
    (proxy, lake, schema)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_and_a_look_take_few_requests_whatever_the_table_holds() {
    let (proxy, lake, schema) = table_of(40).await;
    lake.store.append(&schema, moving(40, 41)).await.expect("appended");
    let append = proxy.requests();
    assert_eq!(kinds(&append), ["HEAD", "HEAD", "PUT", "PUT"], "{append:#?}");

    lake.store.positions(&schema, 1).await.expect("positions");
    let after = proxy.requests();
    assert_eq!(kinds(&after), ["GET", "HEAD", "HEAD", "LIST"], "{after:#?}");
    let list = after.iter().find(|request| request.starts_with("LIST")).expect("one");
    assert!(
        list.contains("_delta_log") && list.contains("start-after"),
        "only the log, from where it is known: {list}"
    );

    lake.store.positions(&schema, 12).await.expect("positions");
    let several = proxy.requests();
    assert_eq!(
        kinds(&several),
        ["HEAD", "HEAD"],
        "identities that are not there are known not to be: {several:#?}"
    );
    lake.store.positions(&schema, 12).await.expect("positions");
    assert_eq!(kinds(&proxy.requests()), ["HEAD", "HEAD"]);

    let fresh = lake.another();
    assert_eq!(fresh.positions(&schema, 12).await.expect("positions")[0], 41);
    let fresh = proxy.requests();
    // Each of the 42 log entries once; a checkpoint makes that fewer.
    assert!(fresh.len() <= 42 + 6, "{}: {fresh:#?}", fresh.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn upkeep_takes_few_requests_beside_reading_the_files() {
    let (proxy, lake, schema) = table_of(20).await;
    let policy = Compaction {
        min_files: 16,
        target_bytes: 1 << 20,
        memory_bytes: 64 << 20,
    };
    let merged = lake.store.compact(&schema, &policy).await.expect("compacted");
    assert!(
        matches!(merged, Compacted::Merged { files_before: 20, .. }),
        "{merged:?}"
    );
    let compaction = proxy.requests();
    assert!(compaction.len() <= 20 * 3 + 4, "{}: {compaction:#?}", compaction.len());
    let retention = Retention {
        checkpoint_every: 10,
        log: Duration::from_secs(3_600),
        files: Duration::from_secs(3_600),
        oldest_pin: None,
    };
    lake.store.tidy(&schema, &retention).await.expect("tidied");
    let tidying = proxy.requests();
    assert!(tidying.len() <= 14, "with a checkpoint: {tidying:#?}");
    lake.store.tidy(&schema, &retention).await.expect("tidied");
    let again = proxy.requests();
    assert_eq!(
        kinds(&again),
        ["GET", "HEAD", "HEAD", "HEAD", "LIST", "LIST", "PUT"],
        "{again:#?}"
    );
}
