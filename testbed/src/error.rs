//! What can go wrong when a server is to run.

use std::io;
use std::path::{Path, PathBuf};

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not there, or not of the version that is needed.
    #[error("{program} is needed: {hint}")]
    Missing { program: &'static str, hint: String },
    #[error("{command} cannot be started ({source})")]
    Start { command: String, source: io::Error },
    /// A program ended without success.
    #[error("{command} failed:\n{output}")]
    Failed { command: String, output: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    /// A server ended, or did not answer in time.
    #[error("{server} does not start; it said:\n{log}")]
    NotReady { server: &'static str, log: String },
    #[error("no certificate can be made ({0})")]
    Certificate(#[from] openssl::error::ErrorStack),
    #[error("no free port between {from} and {to}: are many test beds left over?", from = crate::port::FIRST, to = crate::port::LAST)]
    NoPort,
}

impl Error {
    /// For `map_err` on what is done with a file or folder.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    }
}
