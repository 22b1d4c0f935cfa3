//! The five services apart, with a collector of traces beside them.

use forebay_e2e::collector::Collector;
use forebay_e2e::scenarios;
use forebay_e2e::suite::{Backends, Suite};

#[tokio::test]
async fn telemetry() {
    let backends = tokio::task::spawn_blocking(Backends::shared)
        .await
        .expect("the servers");
    let collector = Collector::start().await;
    let settings = scenarios::telemetry::settings(&collector);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let suite = Suite::start(&backends, 1, &settings).await;
    scenarios::telemetry::plays(&suite, &collector).await;
}
