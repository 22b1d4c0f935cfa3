#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use forebay_model::SystemClock;
use forebay_storage::{OfflineStore, conformance};

use crate::{DeltaStore, LakeLocations};

fn store(lake: &tempfile::TempDir) -> DeltaStore {
    DeltaStore::new(
        LakeLocations::new(lake.path(), &[]).expect("a lake"),
        Arc::new(SystemClock),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_an_offline_store() {
    let lakes = parking_lot::Mutex::new(Vec::new());
    conformance::offline_store(async || {
        let lake = tempfile::tempdir().expect("a folder");
        let store: Arc<dyn OfflineStore> = Arc::new(store(&lake));
        lakes.lock().push(lake);
        store
    })
    .await;
}
