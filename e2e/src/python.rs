//! Clients of other projects, in Python: they run in a virtual environment of their own with pinned versions.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::lake::Lake;

const REQUIREMENTS: &str = include_str!("../python/requirements.txt");

/// Runs a script of `python/` and returns what it printed. Fails the test when the script fails.
pub fn run(script: &str, arguments: &[&str]) -> String {
    run_with(&[], script, arguments)
}

/// The same for a script that reads or writes a lake.
pub fn run_on(lake: &Lake, script: &str, arguments: &[&str]) -> String {
    run_with(&lake.variables(), script, arguments)
}

fn run_with(variables: &[(&str, String)], script: &str, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script);
    let mut command = Command::new(interpreter());
    command.arg(&script).args(arguments).env("FEAST_USAGE", "False");
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let output = command.output().expect("the interpreter runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// The interpreter of the virtual environment, which is made the first time and kept in the cache.
fn interpreter() -> &'static PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut hash = DefaultHasher::new();
        REQUIREMENTS.hash(&mut hash);
        let folder = cache().join(format!("python-{:016x}", hash.finish()));
        std::fs::create_dir_all(&folder).expect("a folder in the cache");
        // Test processes may run side by side: one makes the environment, the others wait.
        let lock = File::create(folder.join("lock")).expect("a lock file");
        lock.lock().expect("the lock");
        let (python, done) = (folder.join("bin/python"), folder.join("complete"));
        if !done.exists() {
            call(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/requirements.txt");
            call(
                Command::new(&python)
                    .args(["-m", "pip", "install", "--quiet", "--requirement"])
                    .arg(requirements),
            );
            File::create(done).expect("a mark");
        }
        python
    })
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
