//! The `forebay` program that the tests run.

use std::path::PathBuf;

/// The program: what `FOREBAY_BIN` names, or the one that was built together with the tests.
///
/// # Panics
/// When it is not there.
pub fn forebay() -> PathBuf {
    match std::env::var_os("FOREBAY_BIN") {
        Some(path) => path.into(),
        None => beside_the_tests("forebay-under-test"),
    }
}

/// A binary of this package: cargo builds it before the tests, into the folder above theirs.
fn beside_the_tests(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    let path = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target/debug/deps")
        .join(name);
    assert!(
        path.exists(),
        "{} is missing: `cargo build -p forebay-e2e`",
        path.display()
    );
    path
}
