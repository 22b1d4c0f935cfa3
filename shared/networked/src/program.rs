//! What makes a service a program of its own.

use forebay_server::{Service, Starting};

use crate::backend_error::BackendError;
use crate::needs::Refused;
use crate::process::Process;
use crate::settings::Settings;

/// A service over networked backends: which settings it reads, what it refuses, and how it is put together.
pub trait Program {
    /// As in `forebay serve <name>`.
    const NAME: &'static str;
    /// What its own program is called.
    const PROGRAM: &'static str;
    /// A line for the help.
    const ABOUT: &'static str;
    /// Whether its program has the command `migrate`.
    const MIGRATES: bool = false;
    /// The sections that it reads.
    type Settings: Settings;

    /// Whether it can work with these settings.
    ///
    /// # Errors
    /// The first setting that is in the way.
    fn check(settings: &Self::Settings) -> Result<(), Refused>;

    /// Opens its backends, waiting for what is not there yet, and makes the service.
    ///
    /// # Errors
    /// When a backend cannot be opened and waiting does not help.
    fn open(settings: &Self::Settings, process: &Process) -> impl Future<Output = Result<Service, BackendError>>;

    /// Makes what services find in their backends when they start, and gives a line for each that it has prepared. Without `migrate`: nothing.
    ///
    /// # Errors
    /// When a backend cannot be prepared and waiting does not help.
    fn migrate(
        _settings: &Self::Settings,
        _starting: &Starting,
    ) -> impl Future<Output = Result<Vec<String>, BackendError>> {
        async { Ok(Vec::new()) }
    }
}
