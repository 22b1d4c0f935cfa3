//! Where the sources of this test run lie.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// The folder of the workspace. It is asked of cargo at run time (`cargo run` and `cargo test` tell the running program its package): a program built in
/// one checkout is fresh to another that shares its target folder, and must not go back to the first one's files, which may be gone.
pub fn checkout() -> &'static Path {
    static CHECKOUT: LazyLock<PathBuf> = LazyLock::new(|| {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let workspace = Path::new(&package)
            .ancestors()
            .find(|folder| folder.join("Cargo.lock").exists());
        workspace.unwrap_or(Path::new(".")).to_owned()
    });
    &CHECKOUT
}
