//! Scripts in Python with other projects' clients, each set of them in a virtual environment of its own with pinned versions.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

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
        let mut hash = DefaultHasher::new();
        std::fs::read(requirements).expect("requirements").hash(&mut hash);
        let folder = cache().join(format!("python-{:016x}", hash.finish()));
        std::fs::create_dir_all(&folder).expect("a folder in the cache");
        // Test processes may run side by side: one makes the environment, the others wait.
        let lock = File::create(folder.join("lock")).expect("a lock file");
        lock.lock().expect("the lock");
        let (interpreter, done) = (folder.join("bin/python"), folder.join("complete"));
        if !done.exists() {
            call(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            let install = ["-m", "pip", "install", "--quiet", "--requirement"];
            call(Command::new(&interpreter).args(install).arg(requirements));
            File::create(done).expect("a mark");
        }
        Self { interpreter }
    }

    /// What a script prints, given this input.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn run(&self, script: &Path, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(&self.interpreter);
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

fn call(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status();
    assert!(
        status.as_ref().is_ok_and(|status| status.success()),
        "{command:?}: {status:?}; Python 3.10 or later with venv and pip is needed"
    );
}

/// Where tools are kept between runs.
fn cache() -> PathBuf {
    let from = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from("XDG_CACHE_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("forebay")
}
