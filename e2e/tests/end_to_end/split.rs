//! The five services apart, in two copies each. One suite for all tests of this module.

use forebay_e2e::scenarios;
use forebay_e2e::scenarios::parity::Groups;
use forebay_e2e::suite::{Backends, Suite};
use tokio::sync::OnceCell;

async fn suite() -> &'static Suite {
    static SUITE: OnceCell<Suite> = OnceCell::const_new();
    SUITE
        .get_or_init(async || {
            let backends = tokio::task::spawn_blocking(Backends::shared)
                .await
                .expect("the servers");
            Suite::start(&backends, 2, &[]).await
        })
        .await
}

scenarios!(suite());

#[tokio::test]
async fn errors() {
    let _definitions = DEFINITIONS.read().await;
    scenarios::errors::plays(&suite().await.stage()).await;
}

#[tokio::test]
async fn parity() {
    let _definitions = DEFINITIONS.read().await;
    Groups::filled(&suite().await.stage(), 12).await;
}

#[tokio::test]
async fn a_topic_that_was_made_again() {
    let suite = suite().await;
    let _definitions = DEFINITIONS.read().await;
    scenarios::topic_made_again::plays(suite, forebay_testbed::kafka()).await;
}
