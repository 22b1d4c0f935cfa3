//! Installations with a collector of traces beside them.

use forebay_e2e::collector::Collector;
use forebay_e2e::lake::Lake;
use forebay_e2e::process::Launch;
use forebay_e2e::scenarios;
use forebay_e2e::stage::Stage;
use forebay_e2e::suite::{Backends, Suite};
use tempfile::TempDir;

#[tokio::test]
async fn services_apart() {
    let backends = tokio::task::spawn_blocking(Backends::shared)
        .await
        .expect("the servers");
    let collector = Collector::start().await;
    let settings = scenarios::telemetry::settings(&collector);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let suite = Suite::start(&backends, 1, &settings).await;
    scenarios::telemetry::plays(&suite, &collector).await;
}

#[tokio::test]
async fn in_one_process() {
    let folder = TempDir::new().expect("a temporary folder");
    let collector = Collector::start().await;
    let settings: Vec<(String, String)> = scenarios::telemetry::settings(&collector)
        .into_iter()
        .map(|(name, value)| (format!("FOREBAY_{name}"), value))
        .collect();
    let process = Launch::new(folder.path()).settings(&settings).start().await;
    let stage = Stage::new(process.http.clone(), Lake::folder(folder.path().join("lake")));
    scenarios::telemetry::plays_embedded(&stage, &collector, || process.log()).await;
}
