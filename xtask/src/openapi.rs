//! The documents under openapi/: renewed from the code, and linted.

use std::path::PathBuf;
use std::process::Command;

use forebay_testbed::checkout;

use crate::shell::{self, Error};
use crate::tools;

const SERVICES: [&str; 5] = ["registry", "compute", "ingestion", "online-serving", "offline-query"];

/// Writes every service's document. The tests that compare them write instead when `FOREBAY_RENEW_OPENAPI` is set.
pub fn renew() -> Result<(), Error> {
    let mut test = shell::cargo();
    test.arg("test").env("FOREBAY_RENEW_OPENAPI", "1");
    for service in SERVICES {
        test.args(["--package", &format!("forebay-{service}")]);
    }
    shell::run(test.arg("openapi"))?;
    for document in documents() {
        println!("{}", document.strip_prefix(checkout()).unwrap_or(&document).display());
    }
    Ok(())
}

/// Holds every service's document against the rules in redocly.yaml.
pub fn lint() -> Result<(), Error> {
    for document in documents() {
        if !document.exists() {
            return Err(Error::Other(format!(
                "{} is missing: run `cargo xtask openapi`",
                document.display()
            )));
        }
    }
    let mut lint = Command::new(tools::redocly()?);
    lint.arg("lint").args(documents()).current_dir(checkout());
    lint.env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    shell::run(&mut lint)
}

/// Every service with its document.
pub fn by_service() -> impl Iterator<Item = (&'static str, PathBuf)> {
    SERVICES
        .into_iter()
        .map(|service| (service, checkout().join(format!("openapi/{service}.json"))))
}

fn documents() -> impl Iterator<Item = PathBuf> {
    by_service().map(|(_, document)| document)
}
