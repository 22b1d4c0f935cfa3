//! A `forebay serve` process of one test: started in a folder, ended by its process id.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::binary;
use crate::http::Http;

/// A running server. It is killed when this is dropped; its folder stays.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pub http: Http,
    log: PathBuf,
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Launch {
    data_dir: PathBuf,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// All services in one process, with the defaults, in this folder.
    pub fn new(data_dir: &Path) -> Self {
        Launch {
            data_dir: data_dir.to_owned(),
            environment: Vec::new(),
        }
    }

    /// The same with a setting, such as `FOREBAY_SERVER__MAX_BODY_BYTES`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Process {
        std::fs::create_dir_all(&self.data_dir).expect("a data folder");
        let log = self.data_dir.join("server.log");
        // Another process may take the port between the two binds: then this one ends at once, and the next try has another.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")
                .and_then(|free| free.local_addr())
                .expect("a free port")
                .port();
            let output = File::options()
                .create(true)
                .append(true)
                .open(&log)
                .expect("a log file");
            let child = Command::new(binary::forebay())
                .arg("serve")
                .arg("--data-dir")
                .arg(&self.data_dir)
                .args(["--listen", &format!("127.0.0.1:{port}")])
                .env_remove("FOREBAY_BIN")
                .envs(self.environment.iter().map(|(name, value)| (name, value)))
                .stdin(Stdio::null())
                .stdout(output.try_clone().expect("a second handle"))
                .stderr(output)
                .spawn()
                .expect("forebay runs");
            let mut process = Process {
                child,
                http: Http::new(format!("http://127.0.0.1:{port}")),
                log: log.clone(),
            };
            if process.ready().await {
                return process;
            }
        }
        panic!(
            "the server does not start:\n{}",
            std::fs::read_to_string(&log).unwrap_or_default()
        );
    }
}

impl Process {
    /// Waits for `/readyz`; false when the process has ended before.
    async fn ready(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if self.child.try_wait().expect("a child of ours").is_some() {
                return false;
            }
            if self
                .http
                .try_send("GET", "/readyz", &[], Vec::new())
                .await
                .is_ok_and(|answer| answer.status == 200)
            {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server is not ready after a minute:\n{}", self.log());
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it with kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }

    /// Asks it to end with SIGTERM and waits until it has. Returns whether it ended with success.
    pub fn terminate(mut self) -> bool {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(asked.is_ok_and(|status| status.success()), "the signal is sent");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(40) {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not end after SIGTERM:\n{}", self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
