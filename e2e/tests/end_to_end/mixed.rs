//! One process with all services over Kafka, Cassandra and S3, for all tests of this module.

use forebay_e2e::http::Http;
use forebay_e2e::process::{Launch, Process};
use forebay_e2e::proxy::Upstreams;
use forebay_e2e::scenarios;
use forebay_e2e::scenarios::parity::Groups;
use forebay_e2e::stage::{self, Stage};
use forebay_e2e::suite::{Backends, Installation};
use tempfile::TempDir;
use tokio::sync::OnceCell;

struct Mixed {
    process: Process,
    installation: Installation,
    _folder: TempDir,
}

impl Mixed {
    fn stage(&self) -> Stage {
        Stage::new(self.http(), self.installation.lake.clone())
    }

    /// Of one's own: a client's connections live as long as the runtime of the test that made it.
    fn http(&self) -> Http {
        Http::new(self.process.http.base_url.clone()).heard_by(Upstreams::one(self.process.address()))
    }

    async fn is_stopped(&self, group: &str) -> bool {
        stage::is_stopped(&self.http(), group).await
    }
}

async fn mixed() -> &'static Mixed {
    static MIXED: OnceCell<Mixed> = OnceCell::const_new();
    MIXED
        .get_or_init(async || {
            let backends = tokio::task::spawn_blocking(Backends::shared)
                .await
                .expect("the servers");
            let installation = backends.installation();
            let folder = TempDir::with_prefix("forebay-mixed-").expect("a temporary folder");
            let launch = Launch::new(folder.path()).settings(&installation.settings);
            launch.migrate();
            Mixed {
                process: launch.start().await,
                installation,
                _folder: folder,
            }
        })
        .await
}

scenarios!(mixed());

#[tokio::test]
async fn errors() {
    let _definitions = DEFINITIONS.read().await;
    scenarios::errors::plays(&mixed().await.stage()).await;
}

#[tokio::test]
async fn parity() {
    let _definitions = DEFINITIONS.read().await;
    Groups::filled(&mixed().await.stage(), 12).await;
}
