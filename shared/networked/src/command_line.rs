//! The command line of a service's program: without a command it serves.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use forebay_model::Duration;

use crate::failure::Failure;
use crate::migration::run_migration;
use crate::needs;
use crate::program::Program;
use crate::serve::serve_program;
use crate::settings::{self, Origin, Settings, load};

#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done; 2 wrong usage or settings; 3 it cannot serve, or a backend is not there."
)]
struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve, as without a command
    Serve,
    /// Print the effective settings of this service, without credentials
    Config,
    /// Make the keyspace, tables and topics that services expect
    Migrate(MigrateArgs),
}

/// Where the settings of a process come from.
#[derive(Debug, Args)]
pub struct SettingsArgs {
    /// A TOML file with settings
    #[arg(long, env = "FOREBAY_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// The folder of what a process keeps on this machine
    #[arg(long, global = true)]
    pub data_dir: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:7070]
    #[arg(long, global = true)]
    pub listen: Option<SocketAddr>,
}

impl SettingsArgs {
    /// As the settings are loaded from it.
    #[must_use]
    pub fn origin(self) -> Origin {
        Origin {
            file: self.config,
            data_dir: self.data_dir,
            listen: self.listen,
        }
    }
}

/// What `migrate` takes besides the settings.
#[derive(Debug, Args)]
#[group(id = "migration")] // `forebay` has a struct of the same name around it
pub struct MigrateArgs {
    /// How long to wait for the backends, such as 5m
    #[arg(long, default_value = "60s")]
    pub patience: Duration,
}

/// Runs a service's program; its `main` with nothing but the allocator outside.
pub fn run<P: Program>(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = command::<P>()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => {
            // The help and the version are errors to clap, too; they go to standard output and end with 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match execute::<P>(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}: {failure}", P::PROGRAM);
            failure.exit_code()
        }
    }
}

fn command<P: Program>() -> Command {
    let command = Cli::command().name(P::PROGRAM).bin_name(P::PROGRAM).about(P::ABOUT);
    match P::MIGRATES {
        true => command,
        false => command.mut_subcommand("migrate", |migrate| migrate.hide(true)),
    }
}

fn execute<P: Program>(cli: Cli) -> Result<(), Failure> {
    let origin = cli.settings.origin();
    match cli.action {
        None | Some(Action::Serve) => serve_program::<P>(&origin),
        Some(Action::Config) => {
            let settings: P::Settings = load(&origin)?;
            settings::print(&settings)
        }
        Some(Action::Migrate(_)) if !P::MIGRATES => Err(Failure::Usage(
            "there is nothing to migrate here: `forebay-registry migrate` does it for all services".to_owned(),
        )),
        Some(Action::Migrate(args)) => {
            let settings: P::Settings = load(&origin)?;
            needs::common(&settings.common())?;
            run_migration(&settings.common(), args.patience.as_std(), async |starting| {
                P::migrate(&settings, starting).await
            })
        }
    }
}
