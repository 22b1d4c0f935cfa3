//! Tools of other projects that the checks use, in pinned versions, installed once into the cache.

use std::path::PathBuf;
use std::process::Command;

use forebay_testbed::checkout;

use crate::schemas;
use crate::shell::{self, Error};

const CARGO_DENY: &str = "0.20.2";
const CARGO_CYCLONEDX: &str = "0.5.9";
const REDOCLY: &str = "2.77.0";
const HELM_DOCS: &str = "1.14.2";
const PROMTOOL: &str = "0.316.0";

/// The program `cargo-deny`.
pub fn cargo_deny() -> Result<PathBuf, Error> {
    cargo_tool("cargo-deny", CARGO_DENY)
}

/// The program `cargo-cyclonedx`.
pub fn cargo_cyclonedx() -> Result<PathBuf, Error> {
    cargo_tool("cargo-cyclonedx", CARGO_CYCLONEDX)
}

fn cargo_tool(name: &str, version: &str) -> Result<PathBuf, Error> {
    let folder = shell::cache().join(format!("tools/{name}-{version}"));
    let program = folder.join("bin").join(name);
    if !program.exists() {
        println!("installing {name} {version} into {}", folder.display());
        let mut install = shell::cargo();
        install
            .args(["install", "--quiet", "--locked", name, "--version", version, "--root"])
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

/// A folder with `helm`, `kubectl`, `kubeconform`, its `schemas`, and `helm-unittest`: those that the cluster of the tests uses too.
pub fn kubernetes() -> Result<PathBuf, Error> {
    let folder = shell::cache().join("tools/k8s");
    let programs = ["helm", "kubeconform", "helm-unittest", "schemas"];
    if !programs.iter().all(|program| folder.join(program).exists()) {
        println!(
            "installing Helm, kubeconform and helm-unittest into {}",
            folder.display()
        );
        let mut install = Command::new("bash");
        install.arg(checkout().join("testbed/kubernetes/tools.sh")).arg(&folder);
        shell::run(install.arg("unittest").env("JOBS", jobs()))?;
    }
    Ok(folder)
}

/// The program `helm-docs`.
pub fn helm_docs() -> Result<PathBuf, Error> {
    go_program(
        "helm-docs",
        HELM_DOCS,
        "github.com/norwoodj/helm-docs/cmd/helm-docs",
        "",
    )
}

/// The program `promtool`, without the discovery of targets, which brings in every cloud's client.
pub fn promtool() -> Result<PathBuf, Error> {
    let package = "github.com/prometheus/prometheus/cmd/promtool";
    go_program("promtool", PROMTOOL, package, "remove_all_sd")
}

/// A folder with the schemas that [`schemas::write`] makes.
pub fn schemas() -> Result<PathBuf, Error> {
    let folder = shell::cache().join(format!("tools/schemas-{}", schemas::VERSION));
    if !folder.exists() {
        println!("fetching schemas into {}", folder.display());
        let unfinished = folder.with_extension("part");
        std::fs::create_dir_all(&unfinished).map_err(Error::file(&unfinished))?;
        schemas::write(&unfinished)?;
        std::fs::rename(&unfinished, &folder).map_err(Error::file(&folder))?;
    }
    Ok(folder)
}

/// Builds a program from a Go module. What the compiler fetches and makes on the way, gigabytes, goes afterwards.
fn go_program(name: &str, version: &str, package: &str, tags: &str) -> Result<PathBuf, Error> {
    let folder = shell::cache().join(format!("tools/{name}-{version}"));
    let program = folder.join(name);
    if !program.exists() {
        println!("building {name} {version} into {}", folder.display());
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let scratch = tempfile::tempdir().map_err(Error::file(&folder))?;
        let mut install = Command::new("go");
        install
            .args(["install", "-trimpath", "-modcacherw", "-ldflags", "-s -w", "-p"])
            .args([&jobs(), "-tags", tags, &format!("{package}@v{version}")]);
        install
            .current_dir(scratch.path())
            .env("CGO_ENABLED", "0")
            .env("GOBIN", &folder)
            .env("GOCACHE", scratch.path().join("objects"))
            .env("GOMODCACHE", scratch.path().join("modules"));
        shell::run(&mut install)?;
    }
    Ok(program)
}

/// How many compilers work at once: `JOBS`, or all cores.
fn jobs() -> String {
    std::env::var("JOBS").unwrap_or_else(|_| {
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
        cores.to_string()
    })
}
