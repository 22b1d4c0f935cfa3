//! How a process ends that could not do its work.

use std::process::ExitCode;

use crate::needs::Refused;
use crate::settings::ConfigError;

/// Why a process ended: 2 wrong usage or settings, 3 it cannot serve or did not find its backends.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Settings that do not go together.
    #[error("the configuration cannot work: {0}")]
    Refused(#[from] Refused),
    /// A setting that shows itself to be wrong when it is used.
    #[error("{0}")]
    Usage(String),
    /// The process cannot serve.
    #[error("{0}")]
    Serve(String),
}

impl Failure {
    /// The code for the shell.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Config(_) | Failure::Refused(_) | Failure::Usage(_) => ExitCode::from(2),
            Failure::Serve(_) => ExitCode::from(3),
        }
    }
}
