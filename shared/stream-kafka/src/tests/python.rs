//! Confluent's client in Python, in a virtual environment of its own with pinned versions.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

const REQUIREMENTS: &str = "python/requirements.txt";

/// What a script of `python/` prints, given this input. Fails the test when the script fails.
pub(super) fn run(script: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(interpreter());
    command
        .arg(here(&format!("python/{script}")))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the interpreter runs");
    let mut stdin = child.stdin.take().expect("its input");
    // A script that fails early reads nothing; its own words are told below.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{script} {arguments:?} failed:\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// The interpreter of the virtual environment, which is made the first time and kept in the cache.
fn interpreter() -> &'static PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let requirements = here(REQUIREMENTS);
        let mut hash = DefaultHasher::new();
        std::fs::read(&requirements).expect("requirements").hash(&mut hash);
        let folder = cache().join(format!("python-{:016x}", hash.finish()));
        std::fs::create_dir_all(&folder).expect("a folder in the cache");
        // Test processes may run side by side: one makes the environment, the others wait.
        let lock = File::create(folder.join("lock")).expect("a lock file");
        lock.lock().expect("the lock");
        let (python, done) = (folder.join("bin/python"), folder.join("complete"));
        if !done.exists() {
            call(Command::new("python3").args(["-m", "venv"]).arg(&folder));
            let install = ["-m", "pip", "install", "--quiet", "--requirement"];
            call(Command::new(&python).args(install).arg(&requirements));
            File::create(done).expect("a mark");
        }
        python
    })
}

fn here(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
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
