//! Running other programs, and where things lie.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use forebay_testbed::checkout;

/// Why a command of the project failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{program} cannot be run ({source}): {hint}")]
    Start {
        program: String,
        hint: &'static str,
        source: io::Error,
    },
    #[error("`{0}` failed")]
    Failed(String),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// For `map_err` on what is done with a file or folder.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    }
}

/// What may be kept between runs and checkouts: tools, virtual environments.
pub fn cache() -> PathBuf {
    let from = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from("XDG_CACHE_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(|| checkout().join("target/cache"))
        .join("forebay")
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => checkout().join(folder),
        None => checkout().join("target"),
    }
}

/// The cargo that runs this, in the checkout. What it told us about our own package is not passed on: build scripts that ask for it would run again, and
/// everything behind them, whenever somebody types `cargo` instead of `cargo xtask`.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(checkout());
    for (name, _) in std::env::vars_os() {
        let of_this_package = name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_"));
        if of_this_package {
            command.env_remove(name);
        }
    }
    command
}

/// The command as one would type it, without the folder of its program.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| {
            let word = word.to_string_lossy();
            let plain = !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_./:=,@?&+".contains(c));
            if plain {
                word.into_owned()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs to the end with the caller's own output.
pub fn run(command: &mut Command) -> Result<(), Error> {
    let status = command.status().map_err(|source| not_started(command, source))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Failed(shown(command)))
    }
}

/// Runs to the end and gives what was printed on standard output.
pub fn output(command: &mut Command) -> Result<String, Error> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| not_started(command, source))?;
    if !output.status.success() {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        return Err(Error::Failed(shown(command)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub fn not_started(command: &Command, source: io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    let hint = match program.as_str() {
        "npm" | "node" => "install Node.js 20 or later",
        "python3" => "install Python 3.10 or later",
        _ => "is it built or installed?",
    };
    Error::Start { program, hint, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_command_as_it_is_typed() {
        let mut command = Command::new("/somewhere/forebay");
        command.args(["online", "--entities", r#"{"product_id": [1]}"#, "it's"]);
        assert_eq!(
            shown(&command),
            r#"forebay online --entities '{"product_id": [1]}' 'it'\''s'"#
        );
    }

    #[test]
    fn failures_name_the_command() {
        let mut command = Command::new("false");
        assert_eq!(
            run(&mut command).expect_err("false fails").to_string(),
            "`false` failed"
        );
        let mut command = Command::new("no-such-program");
        assert!(
            run(&mut command)
                .expect_err("it is not there")
                .to_string()
                .contains("no-such-program")
        );
    }
}
