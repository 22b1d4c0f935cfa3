use std::path::PathBuf;

/// The process cannot start, and waiting would not help.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The folder that queries spill into.
    #[error("the folder {} cannot be used: {source}", .folder.display())]
    Scratch {
        /// As the settings name it.
        folder: PathBuf,
        /// What the file system says.
        source: std::io::Error,
    },
    /// The engine.
    #[error("the query engine cannot start: {0}")]
    Engine(String),
    /// What no waiting brings: which backend, where, and why.
    #[error("{0}")]
    Never(String),
}
