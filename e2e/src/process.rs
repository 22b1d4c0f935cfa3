//! A `forebay serve` process of one test: started in a folder, ended by its process id, and by the test's own end in any case.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use forebay_testbed::{Port, Supervised};

use crate::binary;
use crate::http::Http;

/// A running server. It is killed when this is dropped; its folder stays.
#[derive(Debug)]
pub struct Process {
    /// None once it was killed.
    supervised: Mutex<Option<Supervised>>,
    port: Port,
    pub http: Http,
    log: PathBuf,
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Which services; all when empty.
    service: Option<String>,
    data_dir: PathBuf,
    /// What is removed when the test is killed.
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// All services in one process, with the defaults, in this folder.
    pub fn new(data_dir: &Path) -> Self {
        Launch {
            service: None,
            data_dir: data_dir.to_owned(),
            folder: data_dir.to_owned(),
            environment: Vec::new(),
        }
    }

    /// One service, such as `registry`, in `folder`, which is one of several in `all`.
    pub fn service(service: &str, folder: &Path, all: &Path) -> Self {
        Launch {
            service: Some(service.to_owned()),
            data_dir: folder.to_owned(),
            folder: all.to_owned(),
            environment: Vec::new(),
        }
    }

    /// The same with a setting, such as `FOREBAY_SERVER__MAX_BODY_BYTES`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with settings.
    pub fn settings(mut self, settings: &[(String, String)]) -> Self {
        self.environment.extend_from_slice(settings);
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Process {
        let process = self.begin();
        process.ready().await;
        process
    }

    /// Starts it without waiting.
    pub fn begin(&self) -> Process {
        std::fs::create_dir_all(&self.data_dir).expect("a data folder");
        let port = Port::take().expect("a free port");
        let log = self.data_dir.join("server.log");
        let mut command = self.command();
        command
            .arg("serve")
            .args(&self.service)
            .arg("--data-dir")
            .arg(&self.data_dir);
        command.args(["--listen", &port.address().to_string()]);
        Process {
            supervised: Mutex::new(Some(
                Supervised::start(&command, &log, &self.folder).expect("forebay runs"),
            )),
            http: Http::new(format!("http://{}", port.address())),
            port,
            log,
        }
    }

    /// Runs `forebay migrate` with the same settings.
    pub fn migrate(&self) {
        let output = self.command().arg("migrate").output().expect("forebay runs");
        assert!(
            output.status.success(),
            "forebay migrate: {}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The program with the settings and no others.
    fn command(&self) -> Command {
        let mut command = Command::new(binary::forebay());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("FOREBAY_")) {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Process {
    fn supervised(&self) -> MutexGuard<'_, Option<Supervised>> {
        self.supervised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `/readyz`.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub async fn ready(&self) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(120) && self.is_running() {
            let asked = self.http.try_send("GET", "/readyz", &[], Vec::new());
            // One that was paused does not answer.
            let answer = tokio::time::timeout(Duration::from_secs(5), asked).await;
            if matches!(answer, Ok(Ok(answer)) if answer.status == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server does not get ready:\n{}", self.log());
    }

    fn is_running(&self) -> bool {
        self.supervised().as_ref().is_some_and(Supervised::is_running)
    }

    fn signal(&self, name: &str) {
        if let Some(supervised) = self.supervised().as_mut() {
            supervised.signal(name);
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Ends it with kill -9.
    pub fn kill(&self) {
        *self.supervised() = None;
    }

    /// Stops it in its tracks: connections stay open and hang.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Asks it to end with SIGTERM and waits until it has. Returns whether it ended with success.
    pub fn terminate(self) -> bool {
        self.signal("TERM");
        let supervised = self.supervised().take();
        let status = supervised.and_then(|supervised| supervised.wait(Duration::from_secs(40)));
        assert_ne!(
            status,
            Some(137),
            "the server does not end after SIGTERM:\n{}",
            self.log()
        );
        status == Some(0)
    }
}
