//! The embedded stores under the suites that every backend runs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use forebay_storage::{
    ClaimStore, Leases, OnlineStore, ProcessLeases, RegistryStore, RowLog, RunStore,
    conformance::{self, Installation, LeasesPlace},
};
use tempfile::TempDir;

use crate::{EmbeddedStores, OnlineOptions, Options, RowLogOptions};

/// A data directory that is removed at the end.
struct Place {
    directory: TempDir,
    options: Options,
}

impl Place {
    fn new(options: Options) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        Self { directory, options }
    }

    fn stores(&self) -> EmbeddedStores {
        EmbeddedStores::open(self.directory.path(), self.options).expect("nobody else has it open")
    }
}

macro_rules! installation {
    ($store:path, $field:ident) => {
        #[async_trait]
        impl Installation<dyn $store> for Place {
            async fn open(&self) -> Arc<dyn $store> {
                self.stores().$field
            }
        }
    };
}

installation!(OnlineStore, online);
installation!(RowLog, row_log);
installation!(RegistryStore, registry);
installation!(RunStore, runs);
installation!(ClaimStore, claims);

/// So small that everything which happens at a bound happens often.
fn tiny() -> Options {
    Options {
        online: OnlineOptions {
            overlay_bytes: 20_000,
            merge_bytes: 5_000,
            merge_interval: Duration::from_millis(1),
            transaction_rows: 7,
            ..OnlineOptions::default()
        },
        row_log: RowLogOptions {
            segment_bytes: 1_000,
            ..RowLogOptions::default()
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn online_store() {
    conformance::online_store(async || Place::new(Options::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn online_store_with_tiny_bounds() {
    conformance::online_store(async || Place::new(tiny())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_log() {
    conformance::row_log(async || Place::new(Options::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_log_with_tiny_segments() {
    conformance::row_log(async || Place::new(tiny())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_store() {
    conformance::registry_store(async || Place::new(Options::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_store() {
    conformance::run_store(async || Place::new(Options::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_store() {
    conformance::claim_store(async || Place::new(Options::default())).await;
}

/// One process: there is nobody else to open it.
#[derive(Default)]
struct OneProcess(Arc<ProcessLeases>);

#[async_trait]
impl LeasesPlace for OneProcess {
    async fn open(&self) -> Arc<dyn Leases> {
        self.0.clone()
    }

    fn outlasts(&self) -> Option<Duration> {
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_one_process() {
    conformance::leases(async || OneProcess::default()).await;
}
