//! `helm`: the chart renders, is valid to the API, does what its tests say, and fits the rest of the project.

mod metrics;
mod monitoring;
mod readme;
mod render;
mod routes;
mod settings;
mod tools;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Count;
use forebay_testbed::checkout;

use crate::shell::{self, Error};
use render::Rendered;
use tools::Tools;

pub use readme::renew;

/// The folder of the chart.
fn chart() -> PathBuf {
    checkout().join("charts/forebay")
}

/// Everything that can be said about the chart without a cluster.
pub fn run() -> Count {
    let tools = match Tools::install() {
        Ok(tools) => tools,
        Err(error) => return Count::of(Err(error)),
    };
    let files = match render::values_files() {
        Ok(files) => files,
        Err(error) => return Count::of(Err(error)),
    };
    let mut count = Count::default();
    let mut all = Vec::new();
    for file in &files {
        println!("-- {}", shown(file));
        match render::checked(&tools, file) {
            Ok(rendered) => {
                count.add(Count::of(Ok(())));
                all.push(rendered);
            }
            Err(error) => count.add(Count::of(Err(error))),
        }
    }
    println!("-- unit tests");
    count.add(unit_tests(&tools));
    type Check = fn(&Tools, &[Rendered]) -> Result<(), Error>;
    let checks: [(&str, Check); 5] = [
        ("README", |tools, _| readme::check(tools)),
        ("routes", |_, all| routes::check(all)),
        ("settings", |_, _| settings::check()),
        ("alerts and dashboard", monitoring::check),
        ("skaffold.yaml", |tools, _| tools.validate_skaffold()),
    ];
    for (name, check) in checks {
        println!("-- {name}");
        count.add(Count::of(check(&tools, &all)));
    }
    count
}

/// The path within the checkout.
fn shown(path: &Path) -> std::path::Display<'_> {
    path.strip_prefix(checkout()).unwrap_or(path).display()
}

/// A file of the checkout.
fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::file(path))
}

/// What tests/ says, with as many tests as it has.
fn unit_tests(tools: &Tools) -> Count {
    let mut command = Command::new(&tools.unittest);
    command.arg("--color=false").arg(chart());
    let output = match command.output() {
        Ok(output) => output,
        Err(source) => return Count::of(Err(shell::not_started(&command, source))),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    match summary(&text) {
        Some(count) if count.passed > 0 && output.status.success() == (count.failed == 0) => count,
        _ => Count::of(Err(Error::Failed(shell::shown(&command)))),
    }
}

/// The numbers of `Tests:       1 failed, 1 errored, 90 passed, 92 total`.
fn summary(text: &str) -> Option<Count> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Tests:"))?;
    let number = |word: &str| {
        line.split(',')
            .find_map(|part| part.trim().strip_suffix(word)?.trim().parse::<u64>().ok())
    };
    let total = number("total")?;
    let passed = number("passed")?;
    Some(Count {
        passed,
        failed: total.checked_sub(passed)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_pass_has_failed() {
        let line = "\nTests:       1 failed, 1 errored, 90 passed, 92 total\n";
        assert_eq!(summary(line), Some(Count { passed: 90, failed: 2 }));
        let line = "Tests:       3 passed, 3 total";
        assert_eq!(summary(line), Some(Count { passed: 3, failed: 0 }));
        assert_eq!(summary("nothing"), None);
    }
}
