//! How a command ends.

use std::process::ExitCode;

use forebay_client::ClientError;

/// Why a command failed, and with which exit code: 1 what was asked is refused or has failed, 2 wrong usage or
/// configuration, 3 Forebay does not answer or cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Forebay's answer, or its silence.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A process that does not start, or does not find its backends.
    #[error(transparent)]
    Process(#[from] forebay_networked::Failure),
    /// The arguments do not go together.
    #[error("{0}")]
    Usage(String),
    /// What was asked has been done and has failed.
    #[error("{0}")]
    Failed(String),
    /// A file of the caller's.
    #[error("{file}: {source}")]
    File {
        /// The file as given.
        file: String,
        /// What the file system says.
        source: std::io::Error,
    },
    /// The answer cannot be written.
    #[error("the answer cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl Failure {
    /// The code for the shell.
    pub fn exit_code(&self) -> ExitCode {
        let code = match self {
            Failure::Process(failure) => return failure.exit_code(),
            Failure::Client(ClientError::Problem(problem)) if problem.status < 500 => 1,
            Failure::Failed(_) => 1,
            Failure::Client(ClientError::Url { .. }) | Failure::Usage(_) | Failure::File { .. } => 2,
            Failure::Client(_) | Failure::Output(_) => 3,
        };
        ExitCode::from(code)
    }

    /// Whether the reader of our output has gone, as `head` does; that is no failure worth words.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}
