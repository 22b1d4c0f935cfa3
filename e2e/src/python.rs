//! Clients of other projects, in Python.

use std::sync::OnceLock;

use forebay_testbed::{Python, checkout};

use crate::lake::Lake;

/// Runs a script of `python/` and returns what it printed. Fails the test when the script fails.
pub fn run(script: &str, arguments: &[&str]) -> String {
    run_with(Vec::new(), script, arguments)
}

/// The same for a script that reads or writes a lake.
pub fn run_on(lake: &Lake, script: &str, arguments: &[&str]) -> String {
    run_with(lake.variables(), script, arguments)
}

fn run_with(mut variables: Vec<(&str, String)>, script: &str, arguments: &[&str]) -> String {
    static PYTHON: OnceLock<Python> = OnceLock::new();
    let folder = checkout().join("e2e/python");
    let python = PYTHON.get_or_init(|| Python::with(&folder.join("requirements.txt")));
    variables.push(("FEAST_USAGE", "False".to_owned()));
    python.run_with(&variables, &folder.join(script), arguments, "")
}
