//! The tests of the workspace, and how many there were.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use super::Count;
use crate::servers::Servers;
use crate::shell;

/// Runs all tests beside one server of each kind, shows what they print, and adds up the `test result:` lines.
pub fn run() -> Count {
    let servers = match Servers::start() {
        Ok(servers) => servers,
        Err(error) => return Count::of(Err(error)),
    };
    let mut command = shell::cargo();
    command
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .envs(servers.variables())
        .stdout(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(source) => return Count::of(Err(shell::not_started(&command, source))),
    };
    let mut count = Count::default();
    let mut screen = std::io::stdout().lock();
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|out| BufReader::new(out).split(b'\n'))
        .map_while(Result::ok)
    {
        let line = String::from_utf8_lossy(&line);
        if let Some(of_binary) = result_line(&line) {
            count.add(of_binary);
        }
        // A closed screen is no reason to stop the tests.
        let _ = writeln!(screen, "{line}");
    }
    let succeeded = child.wait().is_ok_and(|status| status.success());
    if !succeeded && count.failed == 0 {
        println!("FAILED: the tests could not be built, or one of them ended its process");
        count.failed = 1;
    }
    count
}

/// The numbers of `test result: ok. 15 passed; 0 failed; 0 ignored; …`.
fn result_line(line: &str) -> Option<Count> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word| {
        numbers
            .split("; ")
            .find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
    };
    Some(Count {
        passed: number(" passed")?,
        failed: number(" failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_runner_s_own_summary() {
        let line = "test result: FAILED. 14 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.66s";
        assert_eq!(result_line(line), Some(Count { passed: 14, failed: 2 }));
        assert_eq!(result_line("test draw::tests::mixes ... ok"), None);
    }
}
