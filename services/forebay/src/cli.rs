//! The commands and their arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use forebay_networked::{self as networked, SettingsArgs};

use crate::role::Role;

/// A feature store: registers, computes, stores and serves features.
#[derive(Debug, Parser)]
#[command(
    name = "forebay",
    version,
    after_help = "Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 Forebay does not answer or cannot do its work."
)]
pub struct Cli {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// What all client commands share.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// The base URL of the installation
    #[arg(long, global = true, env = "FOREBAY_URL", default_value = "http://127.0.0.1:7070")]
    pub url: String,
    /// Tables for people, JSON for programs
    #[arg(
        long,
        short,
        global = true,
        env = "FOREBAY_OUTPUT",
        value_enum,
        default_value = "table"
    )]
    pub output: OutputFormat,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve all of Forebay in this process, or one of its services
    Serve(ServeArgs),
    /// Make the keyspace, tables and topics that services expect
    Migrate(MigrateArgs),
    /// Print the effective configuration
    Config(ConfigArgs),
    #[command(flatten)]
    Client(Box<ClientCommand>),
}

/// Commands that speak to a running installation.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Show what definitions would change
    Plan(BundleArgs),
    /// Register definitions
    Apply(ApplyArgs),
    /// Show a registered object, or list those of a kind
    Get(GetArgs),
    /// Find objects and features
    Search(SearchArgs),
    /// Show what depends on what
    Graph(GraphArgs),
    /// Compute batch groups, and wait for them
    Run(RunArgs),
    /// List runs, show one, cancel or resume it
    Runs(RunsArgs),
    /// Send rows to a group
    Ingest(IngestArgs),
    /// Ask for features as they are now
    Online(OnlineArgs),
    /// Ask for features as they were
    History(HistoryArgs),
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The service; without it, all of them
    #[arg(value_enum)]
    pub service: Option<Role>,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    pub patience: networked::MigrateArgs,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Debug, Args)]
pub struct BundleArgs {
    /// YAML or JSON files with definitions; `-` is standard input
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Also delete what the files leave out of the domains they name
    #[arg(long)]
    pub prune: bool,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// Apply only if the registry is still at the revision that `plan` showed
    #[arg(long)]
    pub revision: Option<u64>,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    /// What to show
    #[arg(value_enum)]
    pub kind: ObjectKind,
    /// Its name; without it, all are listed
    pub name: Option<String>,
    /// An older revision
    #[arg(long)]
    pub revision: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ObjectKind {
    #[value(alias = "domain")]
    Domains,
    #[value(alias = "entity")]
    Entities,
    #[value(alias = "source")]
    Sources,
    #[value(alias = "group")]
    Groups,
    #[value(alias = "feature")]
    Features,
    #[value(alias = "view")]
    Views,
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words that stand in the name or the description
    pub words: Vec<String>,
    /// Domain, Entity, Source, FeatureGroup, Feature or FeatureView
    #[arg(long)]
    pub kind: Option<String>,
    #[arg(long)]
    pub domain: Option<String>,
    #[arg(long)]
    pub owner: Option<String>,
    /// A tag and its value, such as pii:yes
    #[arg(long)]
    pub tag: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Only what is connected to this source, group, feature or view
    #[arg(long)]
    pub around: Option<String>,
    #[arg(long, value_enum, requires = "around")]
    pub direction: Option<GraphDirection>,
    /// Without it, the order of work
    #[arg(long, value_enum)]
    pub format: Option<GraphFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphDirection {
    Upstream,
    Downstream,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    Json,
    Dot,
    Mermaid,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Groups; without any, everything that is due
    pub groups: Vec<String>,
    /// Begin of the interval, included
    #[arg(long)]
    pub start: Option<String>,
    /// End of the interval, excluded
    #[arg(long)]
    pub end: Option<String>,
    /// Also run what is computed from these groups
    #[arg(long)]
    pub downstream: bool,
    /// Do not wait for the end
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Args)]
pub struct RunsArgs {
    /// A run; without it, the newest are listed
    pub id: Option<String>,
    /// Cancel it
    #[arg(long, requires = "id", conflicts_with = "resume")]
    pub cancel: bool,
    /// Run what it has left, and wait for it
    #[arg(long, requires = "id")]
    pub resume: bool,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct IngestArgs {
    /// The group
    pub group: String,
    /// .ndjson, .json, .arrow or .parquet; `-` is NDJSON from standard input
    pub file: PathBuf,
    /// Wait until these stores hold the rows
    #[arg(long, value_enum, value_delimiter = ',')]
    pub wait: Vec<Store>,
    /// How long to wait for them
    #[arg(long, default_value = "60s")]
    pub timeout: String,
    /// Rows without an event time get the time of the request
    #[arg(long)]
    pub event_time_now: bool,
    /// Features that a row leaves out are null
    #[arg(long)]
    pub missing_null: bool,
    /// Take the good rows and list the bad ones
    #[arg(long)]
    pub skip_invalid: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    Online,
    Offline,
}

impl Store {
    /// The word in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Store::Online => "online",
            Store::Offline => "offline",
        }
    }
}

/// Which features.
#[derive(Debug, Args)]
pub struct FeaturesArgs {
    /// Features by their full names
    #[arg(conflicts_with = "view")]
    pub features: Vec<String>,
    /// All features of a view
    #[arg(long)]
    pub view: Option<String>,
    /// An older revision of the view
    #[arg(long, requires = "view")]
    pub revision: Option<u64>,
    /// Withhold older values, such as 1h
    #[arg(long)]
    pub max_age: Option<String>,
}

#[derive(Debug, Args)]
pub struct OnlineArgs {
    #[command(flatten)]
    pub which: FeaturesArgs,
    /// Keys: a column and its values, such as product_id=1,2; text that looks like a number is put in quotes
    #[arg(long = "entity", value_name = "COLUMN=VALUE,...", required = true)]
    pub entities: Vec<String>,
    /// Request features of the view, written like keys
    #[arg(long = "request", value_name = "NAME=VALUE,...", requires = "view")]
    pub request: Vec<String>,
    /// Fail when any group cannot be read
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub which: FeaturesArgs,
    /// Keys and times: a table under the lake's root, or a local .parquet, .arrow or .csv file to be sent
    #[arg(long, conflicts_with_all = ["start", "end", "at"])]
    pub spine: Option<String>,
    /// The spine's column with the time, if it is not called event_time
    #[arg(long, requires = "spine")]
    pub event_time: Option<String>,
    /// Every row from this time on
    #[arg(long)]
    pub start: Option<String>,
    /// Every row before this time
    #[arg(long)]
    pub end: Option<String>,
    /// One row per key, as of this time
    #[arg(long, conflicts_with_all = ["start", "end"])]
    pub at: Option<String>,
    /// Only these keys, written like product_id=1,2
    #[arg(long = "entity", value_name = "COLUMN=VALUE,...", conflicts_with = "spine")]
    pub entities: Vec<String>,
    /// Only rows that had come in by this time
    #[arg(long)]
    pub known_at: Option<String>,
    /// Show at most so many rows
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// Write all rows to a .parquet, .arrow, .csv or .json file instead
    #[arg(long)]
    pub to: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_is_as_documented() {
        insta::assert_snapshot!(Cli::command().render_help());
    }
}
