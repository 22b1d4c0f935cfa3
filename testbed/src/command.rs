//! Programs that are called and end.

use std::process::{Command, Stdio};

use crate::Error;

/// Runs it to its end. Returns what it printed. `shown` names it in errors.
///
/// # Errors
/// When it cannot be started, or ends without success.
pub(crate) fn run(command: &mut Command, shown: &str) -> Result<String, Error> {
    let output = command.stdin(Stdio::null()).output().map_err(|source| Error::Start {
        command: shown.to_owned(),
        source,
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(Error::Failed {
        command: shown.to_owned(),
        output: format!("{}{}", text(&output.stdout), text(&output.stderr)),
    })
}
