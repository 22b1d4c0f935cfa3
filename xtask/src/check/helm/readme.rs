//! The chart's README is what helm-docs makes of README.md.gotmpl and the comments in values.yaml.

use std::process::Command;

use super::{Tools, chart, read};
use crate::shell::{self, Error};

/// Fails when it is stale.
pub fn check(tools: &Tools) -> Result<(), Error> {
    match read(&chart().join("README.md"))? == made(tools)? {
        true => Ok(()),
        false => Err(Error::Other(
            "charts/forebay/README.md is stale: run `cargo xtask chart`".to_owned(),
        )),
    }
}

/// Writes it.
pub fn renew() -> Result<(), Error> {
    let path = chart().join("README.md");
    std::fs::write(&path, made(&Tools::install()?)?).map_err(Error::file(&path))
}

fn made(tools: &Tools) -> Result<String, Error> {
    let mut helm_docs = Command::new(&tools.helm_docs);
    helm_docs
        .args([
            "--dry-run",
            "--sort-values-order",
            "file",
            "--log-level",
            "warning",
            "--chart-search-root",
        ])
        .arg(chart());
    let text = shell::output(&mut helm_docs)?;
    Ok(format!("{}\n", text.trim()))
}
