//! Tools of other projects that the checks use, in pinned versions, installed once into the cache.

use std::path::PathBuf;
use std::process::Command;

use crate::shell::{self, Error};

const CARGO_DENY: &str = "0.20.2";
const REDOCLY: &str = "2.77.0";

/// The program `cargo-deny`.
pub fn cargo_deny() -> Result<PathBuf, Error> {
    let folder = shell::cache().join(format!("tools/cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if !program.exists() {
        println!("installing cargo-deny {CARGO_DENY} into {}", folder.display());
        let mut install = shell::cargo();
        install
            .args([
                "install",
                "--quiet",
                "--locked",
                "cargo-deny",
                "--version",
                CARGO_DENY,
                "--root",
            ])
            .arg(&folder);
        // Not in the checkout: its toolchain file is for the project's own code.
        install.current_dir(shell::cache());
        shell::run(&mut install)?;
    }
    Ok(program)
}

/// The program `redocly`.
pub fn redocly() -> Result<PathBuf, Error> {
    let folder = shell::cache().join(format!("tools/redocly-{REDOCLY}"));
    let program = folder.join("node_modules/.bin/redocly");
    if !program.exists() {
        println!("installing redocly {REDOCLY} into {}", folder.display());
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let mut install = Command::new("npm");
        install
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder);
        install.arg(format!("@redocly/cli@{REDOCLY}"));
        shell::run(&mut install)?;
    }
    Ok(program)
}
