//! A process under a small shell that is its parent and ends it when we are gone.
//!
//! The shell reads from a pipe that only this process holds open. It does what the lines say; when the pipe closes without a line before it, this process
//! has ended, in whatever way, and the shell ends the server with kill -9 and removes what it wrote. The shell is the server's parent, so the process id it
//! signals is the server's for as long as it has not waited for it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Error;

/// `$1` is the server's log, `$2` what to remove in the end, the rest the server's command. Job control is off, so the server stays in the shell's process group.
const SUPERVISE: &str = r#"
log=$1; all=$2; shift 2
"$@" </dev/null >>"$log" 2>&1 &
server=$!
echo "$server"
while read -r line; do
  case $line in
    end) kill -9 "$server" 2>/dev/null; wait "$server" 2>/dev/null; echo "$?"; exit ;;
    *) kill -s "$line" "$server" 2>/dev/null; echo done ;;
  esac
done
kill -9 "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$all"
"#;

/// A running process that does not outlive this one. It is killed when this is dropped.
#[derive(Debug)]
pub struct Supervised {
    shell: Child,
    to_shell: ChildStdin,
    from_shell: BufReader<ChildStdout>,
    id: u32,
}

impl Supervised {
    /// Starts a command whose output is appended to `log`. The folder `all` is removed if this process ends without dropping the handle. Of the command its
    /// program, arguments and variables count.
    ///
    /// # Errors
    /// When there is no shell, or the log cannot be written.
    pub fn start(command: &Command, log: &Path, all: &Path) -> Result<Supervised, Error> {
        File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(Error::file(log))?;
        let failed = |source| Error::Start {
            command: format!("{command:?}"),
            source,
        };
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SUPERVISE, "supervise"])
            .args([log, all])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Of a process group of its own: Ctrl-C in a terminal ends us, and the shell then does its work.
            .process_group(0);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let mut shell = shell.spawn().map_err(failed)?;
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

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Waits until it has ended, at most so long, and kills it then. Returns its exit status as a shell gives it: 0 for success, 128 and the signal's
    /// number when a signal ended it.
    pub fn wait(mut self, patience: Duration) -> Option<i32> {
        let begin = Instant::now();
        while self.is_running() && begin.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.ask("end").and_then(|status| status.trim().parse().ok())
    }

    /// Sends a signal by name, such as `STOP`. A server that has ended ignores it.
    pub fn signal(&mut self, name: &str) {
        self.ask(name);
        if name == "STOP" {
            self.wait_until_stopped();
        }
    }

    /// A thread stops when it is next interrupted: on a busy machine one may still answer a request after the signal.
    fn wait_until_stopped(&self) {
        let begin = Instant::now();
        while self.is_running() && !self.is_stopped() && begin.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether all of its threads are stopped.
    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id));
        let mut threads = threads.into_iter().flatten().flatten();
        threads.all(|thread| state(&thread.path()) == Some('T'))
    }

    /// Whether the process is there and has not ended by itself. One that has stays a zombie, as the shell does not wait for it yet.
    pub fn is_running(&self) -> bool {
        let folder = format!("/proc/{}", self.id);
        state(Path::new(&folder)).is_some_and(|state| state != 'Z')
    }

    /// One line to the shell, and its answer: the signal is sent, or the server is gone and what its exit status was.
    fn ask(&mut self, line: &str) -> Option<String> {
        // Without a shell there is no server either.
        writeln!(self.to_shell, "{line}").ok()?;
        let mut answer = String::new();
        self.from_shell.read_line(&mut answer).ok()?;
        Some(answer)
    }
}

/// The state of a process or thread, by its folder in `/proc`: `R` for running, `T` for stopped, `Z` for ended.
fn state(folder: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
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

    fn is_there(id: u32) -> bool {
        Path::new(&format!("/proc/{id}")).exists()
    }

    fn sleeps(folder: &Path) -> Supervised {
        Supervised::start(Command::new("sleep").arg("600"), &folder.join("log"), folder).expect("sleep starts")
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
        let server =
            Supervised::start(&Command::new("false"), &folder.path().join("log"), folder.path()).expect("it starts");
        let begin = Instant::now();
        while server.is_running() {
            assert!(begin.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(server.wait(Duration::ZERO), Some(1));
    }

    #[test]
    fn one_that_does_not_end_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(sleeps(folder.path()).wait(Duration::from_millis(20)), Some(128 + 9));
        let mut server = sleeps(folder.path());
        server.signal("TERM");
        assert_eq!(server.wait(Duration::from_secs(10)), Some(128 + 15));
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
