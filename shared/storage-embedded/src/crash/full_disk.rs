use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use forebay_storage::{
    OnlineAnswer, OnlineRead, OnlineStore, RowLog,
    conformance::{rows::PlainRow, schemas},
};

use super::{DIRECTORY, child};
use crate::{EmbeddedStores, Options};

/// The packed row of a key of the test's group.
pub(super) async fn read(store: &dyn OnlineStore, id: i64) -> Option<Vec<u8>> {
    let schema = schemas::prices(0);
    let mut read = OnlineRead::new(schema.clone());
    read.push(&PlainRow::price(id, 0, 0, 0.0).packed(&schema).key);
    let mut answer = OnlineAnswer::default();
    let deadline = Instant::now() + Duration::from_secs(60);
    store.read(&[read], deadline, &mut answer).await;
    answer.row(0, 0).expect("the group is read").map(<[u8]>::to_vec)
}

/// A limit on the size of files fails writes as a full disk does, at the same calls.
#[tokio::test]
async fn a_full_disk_stops_writes_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a folder");
    let limited = child("works_until_there_is_no_space", directory.path());
    let mut shell = Command::new("bash");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 3000; exec \"$@\"", "bash"]);
    shell.arg(limited.get_program()).args(limited.get_args());
    let output = shell
        .env(DIRECTORY, directory.path())
        .stderr(Stdio::piped())
        .output()
        .expect("a process");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let appended = told.lines().filter(|line| line.contains("did append")).count() as u64;
    assert!(
        appended > 100,
        "{appended} rows of 10 kB went in before the limit of 3 MB"
    );
    let stores = EmbeddedStores::open(directory.path(), Options::default()).expect("all is whole");
    let schema = schemas::prices(0);
    let bounds = stores.row_log.bounds(&schema).await.expect("bounds");
    assert_eq!(
        bounds,
        [(0, appended)],
        "what was refused is not there, what was acknowledged is"
    );
    let fetched = stores
        .row_log
        .fetch(&schema, 0, appended - 1, 1, Duration::ZERO)
        .await
        .expect("fetched");
    assert_eq!(fetched.next, appended);
}
