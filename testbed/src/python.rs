//! Scripts in Python with other projects' clients, each set of them in a virtual environment of its own with pinned versions.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::download;

/// An interpreter that has what a list of requirements names.
#[derive(Debug)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// The environment of a `requirements.txt`, which is made the first time and kept in the cache.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn with(requirements: &Path) -> Self {
        let folder = download::virtual_environment(requirements).unwrap_or_else(|error| panic!("{error}"));
        Self {
            interpreter: folder.join("bin/python"),
        }
    }

    /// What a script prints, given this input.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn run(&self, script: &Path, arguments: &[&str], input: &str) -> String {
        self.run_with(&[], script, arguments, input)
    }

    /// As [`Python::run`], with variables in its environment.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn run_with(&self, variables: &[(&str, String)], script: &Path, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(&self.interpreter);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped.arg(script).args(arguments).spawn().expect("the interpreter runs");
        let mut stdin = child.stdin.take().expect("its input");
        // A script that fails early reads nothing; its own words are told below.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{} {arguments:?} failed:\n{}\n{}",
            script.display(),
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }
}
