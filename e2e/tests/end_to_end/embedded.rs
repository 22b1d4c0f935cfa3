//! One process with embedded storage; every test has its own.

use forebay_api::Code;
use forebay_e2e::lake::Lake;
use forebay_e2e::process::{Launch, Process};
use forebay_e2e::scenarios;
use forebay_e2e::scenarios::errors::NOT_ANSWERED;
use forebay_e2e::scenarios::parity::Groups;
use forebay_e2e::stage::{self, Stage};
use tempfile::TempDir;

/// A server in a folder of its own. The folder goes when the test is over.
struct Embedded {
    process: Process,
    folder: TempDir,
}

impl Embedded {
    async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let process = Launch::new(folder.path()).start().await;
        Embedded { process, folder }
    }

    fn stage(&self) -> Stage {
        Stage::new(self.process.http.clone(), Lake::folder(self.folder.path().join("lake")))
    }

    async fn is_stopped(&self, group: &str) -> bool {
        stage::is_stopped(&self.process.http, group).await
    }
}

scenarios!(Embedded::start());

/// Every code is answered by some request.
#[tokio::test]
async fn errors() {
    let embedded = Embedded::start().await;
    let mut seen = scenarios::errors::plays(&embedded.stage()).await;
    let folder = TempDir::new().expect("a temporary folder");
    seen.0.extend(scenarios::pressure::plays(folder.path()).await.0);
    seen.0.extend(NOT_ANSWERED.iter().map(|code| code.as_str()));
    let missing: Vec<_> = Code::ALL
        .iter()
        .filter(|code| !seen.0.contains(code.as_str()))
        .collect();
    assert!(missing.is_empty(), "no request here brings about {missing:?}");
}

/// What random groups answer, at once, after kill -9 and a restart, and after SIGTERM and a restart.
#[tokio::test]
async fn parity() {
    let folder = TempDir::new().expect("a temporary folder");
    // Tables are compacted all the while.
    let launch = Launch::new(folder.path())
        .setting("FOREBAY_SINKS__COMPACTION_MIN_FILES", "2")
        .setting("FOREBAY_SINKS__UPKEEP_INTERVAL_MS", "50");
    let process = launch.start().await;
    let mut stage = Stage::new(process.http.clone(), Lake::folder(folder.path().join("lake")));
    let groups = Groups::filled(&stage, 12).await;
    process.kill();
    let process = launch.start().await;
    stage.http = process.http.clone();
    groups.check(&stage).await;
    assert!(process.terminate(), "SIGTERM ends the server with success");
    let process = launch.start().await;
    stage.http = process.http.clone();
    groups.check(&stage).await;
}

/// Kill -9 at random moments under every kind of load.
#[tokio::test(flavor = "multi_thread")]
async fn kills() {
    let folder = TempDir::new().expect("a temporary folder");
    forebay_e2e::kills::plays(folder.path()).await;
}
