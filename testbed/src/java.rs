//! The Java that runs Cassandra and Kafka.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::Error;

/// The one version that Cassandra 5.0 and Kafka 4 both run on.
const VERSION: &str = "17";

/// A `java` of the version that is needed: that of `JAVA_HOME`, the one on the path, or one that Debian has installed beside it.
///
/// # Errors
/// When none of them is of that version.
pub(crate) fn java() -> Result<PathBuf, Error> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| candidates().into_iter().find(is_right));
    found.clone().ok_or_else(|| Error::Missing {
        program: "java",
        hint: format!("install JDK {VERSION}, on Debian 12 `apt-get install openjdk-{VERSION}-jdk-headless`, or set JAVA_HOME to one"),
    })
}

fn candidates() -> Vec<PathBuf> {
    let mut candidates: Vec<PathBuf> = std::env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin/java"))
        .into_iter()
        .collect();
    candidates.push("java".into());
    let installed = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    candidates.extend(installed.map(|folder| folder.path().join("bin/java")));
    candidates
}

/// `java -version` prints `openjdk version "17.0.15" 2025-04-15` on standard error.
#[allow(clippy::ptr_arg)] // as `find` calls it
fn is_right(java: &PathBuf) -> bool {
    let output = Command::new(java).arg("-version").stdin(Stdio::null()).output();
    output.is_ok_and(|output| {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        told.split('"')
            .nth(1)
            .is_some_and(|version| version.split('.').next() == Some(VERSION))
    })
}
