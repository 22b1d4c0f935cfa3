//! A server's process under a small shell that is its parent and ends it when we are gone.
//!
//! The shell reads from a pipe that only this process holds open. It does what the lines say; when the pipe closes without a line before it, this process
//! has ended, in whatever way, and the shell ends the server with kill -9 and removes what it wrote. The shell is the server's parent, so the process id it
//! signals is the server's for as long as it has not waited for it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Error;

/// `$1` is the server's folder, `$2` what to remove in the end, the rest the server's command. Job control is off, so the server stays in the shell's process group.
const SUPERVISE: &str = r#"
folder=$1; all=$2; shift 2
"$@" </dev/null >>"$folder/log" 2>&1 &
server=$!
echo "$server"
while read -r line; do
  case $line in
    end) kill -9 "$server" 2>/dev/null; wait "$server" 2>/dev/null; echo ended; exit ;;
    *) kill -s "$line" "$server" 2>/dev/null; echo done ;;
  esac
done
kill -9 "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$all"
"#;

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Supervised {
    shell: Child,
    to_shell: ChildStdin,
    from_shell: BufReader<ChildStdout>,
    /// The server's process id.
    pub id: u32,
}

impl Supervised {
    /// Starts a command whose output goes to `log` in the folder. `all`, which is this folder or holds it, is removed if this process ends without
    /// dropping the server.
    ///
    /// # Errors
    /// When there is no shell, or the log cannot be written.
    pub fn start(command: &[String], folder: &Path, all: &Path) -> Result<Supervised, Error> {
        let log = folder.join("log");
        File::create(&log).map_err(Error::file(&log))?;
        let failed = |source| Error::Start {
            command: command.join(" "),
            source,
        };
        let mut shell = Command::new("sh")
            .args(["-c", SUPERVISE, "supervise"])
            .args([folder, all])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Of a process group of its own: Ctrl-C in a terminal ends us, and the shell then does its work.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pipes = shell.stdin.take().zip(shell.stdout.take());
        let (to_shell, from_shell) = pipes.ok_or_else(|| failed(std::io::Error::other("no pipes")))?;
        let mut from_shell = BufReader::new(from_shell);
        let mut id = String::new();
        from_shell.read_line(&mut id).map_err(failed)?;
        let id = id
            .trim()
            .parse()
            .map_err(|_| failed(std::io::Error::other("the shell gave no process id")))?;
        Ok(Supervised {
            shell,
            to_shell,
            from_shell,
            id,
        })
    }

    /// Sends a signal by name, such as `STOP`. A server that has ended ignores it.
    pub fn signal(&mut self, name: &str) {
        self.ask(name);
    }

    /// Whether the process is there and has not ended by itself. One that has stays a zombie, as the shell does not wait for it yet.
    pub fn is_running(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.id))
            .ok()
            .and_then(|stat| Some(stat.rsplit_once(") ")?.1.chars().next()? != 'Z'))
            .unwrap_or(false)
    }

    /// One line to the shell, and its answer: the signal is sent, or the server is gone.
    fn ask(&mut self, line: &str) {
        // Without a shell there is no server either.
        if writeln!(self.to_shell, "{line}").is_ok() {
            let _ = self.from_shell.read_line(&mut String::new());
        }
    }
}

impl Drop for Supervised {
    /// Ends the server with kill -9 and waits until it is gone.
    fn drop(&mut self) {
        self.ask("end");
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn is_there(id: u32) -> bool {
        Path::new(&format!("/proc/{id}")).exists()
    }

    fn sleeps(folder: &Path) -> Supervised {
        Supervised::start(&["sleep".into(), "600".into()], folder, folder).expect("sleep starts")
    }

    #[test]
    fn ends_with_its_handle_and_keeps_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = sleeps(folder.path());
        let id = server.id;
        assert!(server.is_running());
        server.signal("STOP");
        drop(server);
        assert!(!is_there(id));
        assert!(folder.path().join("log").exists());
    }

    #[test]
    fn one_that_ends_by_itself_is_not_running() {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Supervised::start(&["false".into()], folder.path(), folder.path()).expect("it starts");
        let begin = Instant::now();
        while server.is_running() {
            assert!(begin.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the kernel does when this process is killed: the pipe's end closes without a word.
    #[test]
    fn ends_when_its_starter_is_gone() {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let mut server = sleeps(&folder);
        let id = server.id;
        server.signal("STOP");
        let (null, _keep) = Command::new("true")
            .stdin(Stdio::piped())
            .spawn()
            .map(|mut child| (child.stdin.take().expect("a pipe"), child))
            .expect("true runs");
        drop(std::mem::replace(&mut server.to_shell, null));
        let begin = Instant::now();
        while is_there(id) || folder.exists() {
            assert!(begin.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
