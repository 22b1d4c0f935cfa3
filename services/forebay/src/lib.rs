//! Forebay in one process or as services of their own, and its command line.

mod backends;
mod cli;
mod commands;
mod config;
mod exit;
pub mod metrics;
mod migrate;
mod output;
mod progress;
mod role;
mod serve;
mod services;
mod table;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use forebay_client::Client;

use cli::{Cli, Command};
use commands::Session;
use exit::Failure;
use output::Output;

/// Runs the command line; `main` with nothing but the allocator outside.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // The help and the version are errors to clap, too; they go to standard output and end with 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("forebay: {failure}");
            failure.exit_code()
        }
    }
}

fn execute(cli: Cli) -> Result<(), Failure> {
    let command = match cli.command {
        Command::Serve(args) => return Ok(serve::serve(args.service, &args.settings.origin())?),
        Command::Migrate(args) => {
            return Ok(migrate::migrate(
                &args.settings.origin(),
                args.patience.patience.as_std(),
            )?);
        }
        Command::Config(args) => return commands::config(&args.settings.origin()),
        Command::Client(command) => command,
    };
    let client = Client::new(&cli.client.url)?;
    let session = Session {
        client,
        output: Output::new(cli.client.output),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(commands::execute(&session, *command))
}
