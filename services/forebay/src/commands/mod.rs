//! One command per file: what it asks, and how the answer looks.

mod bundle;
mod get;
mod graph;
mod history;
mod ingest;
mod online;
mod run;
mod runs;
mod search;

use forebay_client::Client;
use forebay_networked::settings::{self, Origin, load};

use crate::cli::ClientCommand;
use crate::config::Config;
use crate::exit::Failure;
use crate::output::Output;

/// What every client command works with.
pub struct Session {
    pub client: Client,
    pub output: Output,
}

/// Does what a client command says.
pub async fn execute(session: &Session, command: ClientCommand) -> Result<(), Failure> {
    match command {
        ClientCommand::Plan(args) => bundle::plan(session, args).await,
        ClientCommand::Apply(args) => bundle::apply(session, args).await,
        ClientCommand::Get(args) => get::get(session, args).await,
        ClientCommand::Search(args) => search::search(session, args).await,
        ClientCommand::Graph(args) => graph::graph(session, args).await,
        ClientCommand::Run(args) => run::run(session, args).await,
        ClientCommand::Runs(args) => runs::runs(session, args).await,
        ClientCommand::Ingest(args) => ingest::ingest(session, args).await,
        ClientCommand::Online(args) => online::online(session, args).await,
        ClientCommand::History(args) => history::history(session, args).await,
    }
}

/// Prints the effective settings as TOML.
pub fn config(origin: &Origin) -> Result<(), Failure> {
    let config: Config = load(origin).map_err(forebay_networked::Failure::from)?;
    Ok(settings::print(&config)?)
}
