//! What was acknowledged is there after a kill, and after a full disk.
//!
//! The process that dies is this test binary, started again for one of the ignored tests of [`child`].

mod child;
mod full_disk;
mod kill;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use forebay_storage::conformance::schemas;

use crate::{EmbeddedStores, OnlineOptions, Options, RowLogOptions};

/// Names the directory for the child.
const DIRECTORY: &str = "FOREBAY_TEST_DIRECTORY";

/// Small segments and frequent merges, so that a kill meets every kind of work.
fn options() -> Options {
    Options {
        online: OnlineOptions {
            merge_interval: std::time::Duration::from_millis(5),
            transaction_rows: 100,
            ..OnlineOptions::default()
        },
        row_log: RowLogOptions {
            segment_bytes: 20_000,
            ..RowLogOptions::default()
        },
    }
}

fn open(directory: &Path) -> EmbeddedStores {
    EmbeddedStores::open(directory, options()).expect("the directory is free, and its stores are whole")
}

/// This binary, told to run one ignored test on a directory.
fn child(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args([
            &format!("crash::child::{test}"),
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().expect("a folder");
    let stores = open(directory.path());
    let output = child("finds_the_directory_in_use", directory.path())
        .output()
        .expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    drop(stores.online);
    let refused = EmbeddedStores::open(directory.path(), options())
        .err()
        .expect("the log is still held")
        .to_string();
    assert!(refused.contains("is in use by another process"), "{refused}");
    drop((stores.row_log, stores.registry, stores.runs, stores.claims));
    open(directory.path());
}

#[tokio::test]
async fn an_empty_directory_opens_at_once() {
    use forebay_storage::Provision;
    let directory = tempfile::tempdir().expect("a folder");
    open(directory.path())
        .online
        .ensure(&schemas::prices(0))
        .await
        .expect("made");
    let start = std::time::Instant::now();
    open(directory.path());
    assert!(
        start.elapsed() < std::time::Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}
