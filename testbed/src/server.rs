//! A server that can be killed, paused and started again in its folder.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Error;
use crate::supervised::Supervised;

/// How long a server may take to start on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(180);

/// When a server is ready: it accepts connections, and its log has this text.
#[derive(Debug)]
pub(crate) struct Ready {
    pub listens: SocketAddr,
    pub says: &'static str,
}

/// What tests do to a server of any kind, which is its field `server`.
macro_rules! faults {
    ($kind:ty) => {
        impl $kind {
            /// Ends it with kill -9. What it wrote stays.
            pub fn kill(&self) {
                self.server.kill();
            }

            /// Starts it again on what it wrote, after kill -9 if it runs, at the same address.
            ///
            /// # Errors
            /// When it does not start, as a Kafka broker does not without a majority of the controllers.
            pub fn restart(&self) -> Result<(), $crate::Error> {
                self.server.restart()
            }

            /// Stops it in its tracks: connections stay open and hang.
            pub fn pause(&self) {
                self.server.pause();
            }

            /// Lets it go on.
            pub fn resume(&self) {
                self.server.resume();
            }
        }
    };
}
pub(crate) use faults;

/// A server in a folder that exists.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    command: Command,
    folder: PathBuf,
    /// The folder of all servers that were started together.
    all: PathBuf,
    ready: Ready,
    process: Mutex<Option<Supervised>>,
}

impl Server {
    /// Starts it in `folder`, without waiting until it is ready. `all` is that folder or holds it.
    pub fn launch(
        name: &'static str,
        command: Command,
        folder: &Path,
        all: &Path,
        ready: Ready,
    ) -> Result<Server, Error> {
        let server = Server {
            name,
            command,
            folder: folder.to_owned(),
            all: all.to_owned(),
            ready,
            process: Mutex::new(None),
        };
        server.relaunch()?;
        Ok(server)
    }

    fn process(&self) -> MutexGuard<'_, Option<Supervised>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn relaunch(&self) -> Result<(), Error> {
        let mut process = self.process();
        // The one before must be gone before the next opens the same folder.
        *process = None;
        // What it said the last time would pass for ready.
        let log = self.folder.join("log");
        std::fs::write(&log, "").map_err(Error::file(&log))?;
        *process = Some(Supervised::start(&self.command, &log, &self.all)?);
        Ok(())
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends before, or takes too long.
    pub fn wait(&self) -> Result<(), Error> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if self.is_ready() {
                return Ok(());
            }
            if !self.process().as_ref().is_some_and(Supervised::is_running) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Error::NotReady {
            server: self.name,
            log: self.log_end(),
        })
    }

    fn is_ready(&self) -> bool {
        let Ready { listens, says } = &self.ready;
        TcpStream::connect_timeout(listens, Duration::from_secs(1)).is_ok()
            && std::fs::read(self.folder.join("log")).is_ok_and(|log| String::from_utf8_lossy(&log).contains(says))
    }

    /// Ends it with kill -9 and returns when it is gone. Its folder stays.
    pub fn kill(&self) {
        *self.process() = None;
    }

    /// Starts it again in its folder, after kill -9 if it runs, and waits until it is ready.
    pub fn restart(&self) -> Result<(), Error> {
        self.relaunch()?;
        self.wait()
    }

    /// Stops its process in its tracks: connections stay open and hang.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        if let Some(process) = self.process().as_mut() {
            process.signal(name);
        }
    }

    /// The last lines of its log.
    fn log_end(&self) -> String {
        let log = std::fs::read(self.folder.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}
