//! `cargo xtask test`: everything that must hold before a change is merged.

mod all_tests;
pub mod helm;
mod links;

use forebay_testbed::checkout;

use crate::openapi;
use crate::shell::{self, Error};
use crate::tools;

/// How many things passed and how many failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
}

impl Count {
    fn of(result: Result<(), Error>) -> Count {
        match result {
            Ok(()) => Count { passed: 1, failed: 0 },
            Err(error) => {
                println!("FAILED: {error}");
                Count { passed: 0, failed: 1 }
            }
        }
    }

    fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

type Check = fn() -> Count;

/// In this order: what is quick to say first, the tests last.
const CHECKS: [(&str, Check); 7] = [
    ("fmt", || {
        Count::of(shell::run(shell::cargo().args(["fmt", "--all", "--check"])))
    }),
    ("links", || Count::of(links::check())),
    ("deny", || Count::of(deny())),
    ("openapi", || Count::of(openapi::lint())),
    ("helm", helm::run),
    ("clippy", || Count::of(clippy())),
    ("tests", all_tests::run),
];

/// Runs all checks, or those named, and goes on after a failure. Every check and every test counts as one.
pub fn run(only: &[String]) -> Result<(), Error> {
    if let Some(unknown) = only.iter().find(|name| CHECKS.iter().all(|(known, _)| known != name)) {
        let known: Vec<_> = CHECKS.iter().map(|(name, _)| *name).collect();
        return Err(Error::Other(format!(
            "there is no check `{unknown}`; there are {}",
            known.join(", ")
        )));
    }
    let mut total = Count::default();
    for (name, check) in CHECKS {
        if only.is_empty() || only.iter().any(|asked| asked == name) {
            println!("\n== {name}");
            total.add(check());
        }
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 {
        Ok(())
    } else {
        Err(Error::Other("not everything passed; see FAILED above".into()))
    }
}

/// Licences, duplicates and origins of the dependencies. Advisories need the advisory database from a Git host, which
/// not every machine that tests can reach: `cargo deny check advisories` is for those that can.
fn deny() -> Result<(), Error> {
    let mut deny = std::process::Command::new(tools::cargo_deny()?);
    shell::run(
        deny.args(["--workspace", "check", "bans", "licenses", "sources"])
            .current_dir(checkout()),
    )
}

fn clippy() -> Result<(), Error> {
    shell::run(shell::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}
