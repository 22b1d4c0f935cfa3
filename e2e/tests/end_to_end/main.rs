//! The scenarios on every kind of installation: one process over embedded storage, five services in two copies each over Kafka, Cassandra and S3, and one
//! process over these. One binary for all of them, since linking is what costs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

/// A test for each scenario that runs on any installation: `$installation` is awaited and has a `stage()` of its own for each.
macro_rules! scenarios {
    ($installation:expr) => {
        /// The registry's scenario plans and applies at one revision, so that nobody else may apply meanwhile.
        static DEFINITIONS: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

        #[tokio::test]
        async fn tour() {
            let installation = $installation.await;
            let _definitions = DEFINITIONS.read().await;
            forebay_e2e::scenarios::tour::plays(&installation.stage()).await;
        }

        #[tokio::test]
        async fn registry() {
            let installation = $installation.await;
            let _definitions = DEFINITIONS.write().await;
            forebay_e2e::scenarios::registry::plays(&installation.stage()).await;
        }

        #[tokio::test]
        async fn ingest() {
            let installation = $installation.await;
            let _definitions = DEFINITIONS.read().await;
            forebay_e2e::scenarios::ingest::plays(&installation.stage()).await;
        }

        #[tokio::test]
        async fn serving() {
            let installation = $installation.await;
            let _definitions = DEFINITIONS.read().await;
            forebay_e2e::scenarios::serving::plays(&installation.stage()).await;
        }

        #[tokio::test]
        async fn history() {
            let installation = $installation.await;
            let _definitions = DEFINITIONS.read().await;
            forebay_e2e::scenarios::history::plays(&installation.stage()).await;
        }

        #[tokio::test]
        async fn runs() {
            let installation = $installation.await;
            let _definitions = DEFINITIONS.read().await;
            forebay_e2e::scenarios::runs::plays(&installation.stage()).await;
        }

        #[tokio::test]
        async fn hostile() {
            let installation = $installation.await;
            let _definitions = DEFINITIONS.read().await;
            forebay_e2e::scenarios::hostile::plays(&installation.stage()).await;
        }

        #[tokio::test]
        async fn feast() {
            let installation = $installation.await;
            let _definitions = DEFINITIONS.read().await;
            forebay_e2e::scenarios::feast::plays(&installation.stage()).await;
        }

        #[tokio::test]
        async fn outsiders() {
            let installation = $installation.await;
            let _definitions = DEFINITIONS.read().await;
            forebay_e2e::scenarios::outsiders::plays(&installation.stage()).await;
        }

        #[tokio::test]
        async fn an_outsider_s_delete() {
            let installation = $installation.await;
            let _definitions = DEFINITIONS.read().await;
            let stopped = async |group: &str| installation.is_stopped(group).await;
            forebay_e2e::scenarios::outsiders::a_delete_stops_the_group(&installation.stage(), stopped).await;
        }
    };
}

mod chaos;
mod cluster;
mod embedded;
mod mixed;
mod split;
mod telemetry;
