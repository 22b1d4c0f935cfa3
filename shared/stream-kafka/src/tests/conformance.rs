use forebay_storage::conformance;

use super::place::{Environment, shared_cluster};

#[tokio::test(flavor = "multi_thread")]
async fn row_log() {
    conformance::row_log(async || Environment::on(shared_cluster())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements() {
    conformance::announcements(async || Environment::migrated(shared_cluster()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_log() {
    conformance::rejected_log(async || Environment::migrated(shared_cluster()).await).await;
}
