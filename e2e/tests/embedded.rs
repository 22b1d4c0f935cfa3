//! The scenarios on the one process with embedded storage.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use forebay_api::Code;
use forebay_e2e::process::{Launch, Process};
use forebay_e2e::scenarios;
use forebay_e2e::scenarios::errors::NOT_ANSWERED;
use forebay_e2e::stage::Stage;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
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
        stage(&self.process, self.folder.path())
    }
}

fn stage(process: &Process, data_dir: &Path) -> Stage {
    Stage::new(process.http.clone(), data_dir.join("lake"))
}

#[tokio::test]
async fn tour() {
    let embedded = Embedded::start().await;
    scenarios::tour::plays(&embedded.stage()).await;
}

#[tokio::test]
async fn registry() {
    let embedded = Embedded::start().await;
    scenarios::registry::plays(&embedded.stage()).await;
}

#[tokio::test]
async fn ingest() {
    let embedded = Embedded::start().await;
    scenarios::ingest::plays(&embedded.stage()).await;
}

#[tokio::test]
async fn serving() {
    let embedded = Embedded::start().await;
    scenarios::serving::plays(&embedded.stage()).await;
}

#[tokio::test]
async fn history() {
    let embedded = Embedded::start().await;
    scenarios::history::plays(&embedded.stage()).await;
}

#[tokio::test]
async fn runs() {
    let embedded = Embedded::start().await;
    scenarios::runs::plays(&embedded.stage()).await;
}

#[tokio::test]
async fn hostile() {
    let embedded = Embedded::start().await;
    scenarios::hostile::plays(&embedded.stage()).await;
}

#[tokio::test]
async fn feast() {
    let embedded = Embedded::start().await;
    scenarios::feast::plays(&embedded.stage()).await;
}

#[tokio::test]
async fn outsiders() {
    let embedded = Embedded::start().await;
    scenarios::outsiders::plays(&embedded.stage()).await;
}

#[tokio::test]
async fn an_outsider_s_delete() {
    let embedded = Embedded::start().await;
    let stage = embedded.stage();
    let stopped = async |group: &str| {
        let metrics = stage.http.get("/metrics").await.text();
        metrics
            .lines()
            .any(|line| line.starts_with("forebay_follower_stopped") && line.contains(group) && line.ends_with(" 1"))
    };
    scenarios::outsiders::a_delete_stops_the_group(&stage, stopped).await;
}

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
    let mut stage = stage(&process, folder.path());
    let mut runner = TestRunner::default();
    let mut groups = Vec::new();
    for number in 0..12 {
        let plan = scenarios::parity::plans()
            .new_tree(&mut runner)
            .expect("a plan")
            .current();
        let group = scenarios::parity::fill(&stage, &format!("g{number}"), &plan).await;
        group.check(&stage).await;
        groups.push(group);
    }
    process.kill();
    let process = launch.start().await;
    stage.http = process.http.clone();
    for group in &groups {
        group.check(&stage).await;
    }
    assert!(process.terminate(), "SIGTERM ends the server with success");
    let process = launch.start().await;
    stage.http = process.http.clone();
    for group in &groups {
        group.check(&stage).await;
    }
}

/// Kill -9 at random moments under every kind of load.
#[tokio::test(flavor = "multi_thread")]
async fn kills() {
    let folder = TempDir::new().expect("a temporary folder");
    forebay_e2e::kills::plays(folder.path()).await;
}
