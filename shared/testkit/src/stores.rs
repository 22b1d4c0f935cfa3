use std::ops::Deref;

use forebay_storage_embedded::{EmbeddedStores, Options};
use tempfile::TempDir;

/// The embedded stores in a folder that goes with them.
pub struct TempStores {
    stores: EmbeddedStores,
    folder: TempDir,
}

impl TempStores {
    pub fn open() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let stores = EmbeddedStores::open(folder.path(), Options::default()).expect("stores in an empty folder");
        Self { stores, folder }
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Deref for TempStores {
    type Target = EmbeddedStores;

    fn deref(&self) -> &EmbeddedStores {
        &self.stores
    }
}
